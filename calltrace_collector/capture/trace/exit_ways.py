"""The ways on which code comes from the exit hook to `ret`, and what each of them returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Expression, Value
from calltrace_collector.capture.machine.registers import RAX, RSP
from calltrace_collector.capture.machine.state import IMAGE, X87, State


@dataclass(frozen=True, slots=True)
class Return:
    """A `ret` that the code comes to.

    Attributes:
        state: as it is there.
        frames: what addresses in the frame are relative to.
    """

    state: State
    frames: frozenset[Expression]

    def proven(self, value: Value) -> Value:
        """Returns an expression if the hook sees already what it will be."""
        return value if value is not None and self._holds(value) else None

    def _holds(self, e: Expression) -> bool:
        if e[0] == "load":
            return self._stays(e[1], e[2])
        return e[0] != "unknown" and all(self._holds(part) for part in e if type(part) is tuple)

    def _stays(self, address: Expression, size: int) -> bool:
        base, offset = ex.split(address)
        if base == IMAGE:
            return size == 8 and self.state.code.got_name(offset) is not None
        # What lies below the stack pointer, the hook overwrites.
        return base in self.frames and not (base == ex.STACK_POINTER and offset < 0) and self._holds(base)

    def register(self, number: int, size: int) -> Value:
        """Returns the lowest bytes of rax or rdx, by DWARF number."""
        return self.proven(_lowest(size, self.state.general[number]))

    def xmm(self, number: int, half: int, size: int) -> Value:
        """Returns the lowest bytes of half of xmm0 or xmm1."""
        return self.proven(_lowest(size, self.state.xmm[2 * number + half]))

    def stack_pointer(self) -> Value:
        """Returns the stack pointer, which is what it was on entry."""
        return self.proven(self.state.general[RSP])

    def x87(self) -> X87 | None:
        """Returns what st(0) is."""
        stack = self.state.x87
        top = stack[-1] if stack else None
        if top is None or isinstance(top[1], bytes):
            return top
        return top if self.proven(ex.load(top[1], 8)) is not None else None

    def hidden(self) -> Value:
        """Returns rax, if since the hook nothing is written but to the frame and to static variables."""
        memory = self.state.memory
        if memory.lost or any(base not in self.frames and base != IMAGE for base in memory.slots):
            return None
        return self.proven(_lowest(8, self.state.general[RAX]))


@dataclass(frozen=True, slots=True)
class Fork:
    """A place where the code goes one of two ways, both to a `ret`."""

    condition: Value
    taken: Return | Fork
    other: Return | Fork


def ends_of(end: Return | Fork) -> list[Return]:
    """Returns all places where the function returns."""
    return [end] if isinstance(end, Return) else ends_of(end.taken) + ends_of(end.other)


def merged(end: Return | Fork, query: Callable[[Return], Value]) -> Value:
    """Puts together what the ways give; where they differ, by the condition."""
    if isinstance(end, Return):
        return query(end)
    a, b = merged(end.taken, query), merged(end.other, query)
    if a is None or b is None:
        return None
    if a == b:
        return a
    return ex.select(ends_of(end)[0].proven(end.condition), a, b)


def _lowest(size: int, value: Value) -> Value:
    """Returns the lowest bytes of a value, of which others may not be known."""
    if not 1 <= size <= 8:
        return None
    if size in (1, 2, 4):
        value = ex.zero(size, value)
        return value if value is None or value[0] != "insert" or value[2] != ex.UNKNOWN else None
    return ex.truncated(size, value)
