"""What a function will return, told when it calls the exit hook.

The epilogue is followed from the hook's return to `ret`, on what the hook sees: the registers that it
preserves, and memory as it is then. What is assumed:

- Between the hook and `ret` nothing but this code writes to the function's own stack frame. (Another thread
  might, through a pointer to a local variable; then the program itself races.)
- What is written to static variables after the hook (counters, as of coverage) is not part of a result in
  memory: compilers keep the order of the hook and of stores to what the hook might look at.
- Other memory may be written by other threads at any time. So nothing counts that is loaded from there after
  the hook, but what never changes: constants, and pointers that the linker has filled in.
- A base register leads to the frame if it is the stack pointer, or becomes it before `ret`; rbp also if the
  function begins with making it the frame pointer.
"""

from __future__ import annotations

from dataclasses import dataclass

from iced_x86 import Mnemonic

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Expression, Value
from calltrace_collector.capture.machine.instructions import Flow, Refusal, Step
from calltrace_collector.capture.machine.registers import PRESERVED, RSP
from calltrace_collector.capture.machine.state import IMAGE, Code, State
from calltrace_collector.capture.trace.exit_ways import (
    Fork,
    Return,
    ends_of,
    merged,
)
from calltrace_collector.capture.trace.frame_pointer import keeps_frame_pointer
from calltrace_collector.capture.trace.long_double import extended
from calltrace_collector.capture.trace.walk import (
    NEVER_RETURN,
    UNWINDS,
    Budget,
    UntraceableError,
    common,
    taken,
    target_name,
    until_branch,
)
from calltrace_collector.symbols.probe import HOOKS

__all__ = ["UNWINDING", "ExitTrace", "trace_exit"]

UNWINDING = Refusal("unwinds")
"""The function does not return there: an exception leaves it."""

_RETURNS = frozenset(("__x86_return_thunk",))


@dataclass(frozen=True, slots=True)
class _Way:
    """One of two ways that the code may go."""

    code: Code
    address: int
    state: State
    frames: set[Expression]


class ExitTrace:
    """What can be told at the exit hook of what the function returns; expressions over what the hook sees."""

    def __init__(self, end: Return | Fork) -> None:
        self._end = end

    def register(self, number: int, size: int) -> Expression | None:
        """Returns the lowest `size` bytes of rax or rdx, by DWARF number; None: it cannot be told."""
        return merged(self._end, lambda end: end.register(number, size))

    def xmm(self, number: int, half: int, size: int) -> Expression | None:
        """Returns the lowest `size` bytes of half (0: lower) of xmm0 or xmm1; None: it cannot be told."""
        return merged(self._end, lambda end: end.xmm(number, half, size))

    def x87(self) -> tuple[str, Expression, int] | tuple[str, bytes] | None:
        """Returns what st(0) holds.

        Returns:
            ("address", address, size): the hook sees it in memory, as a long double of 10 bytes, a double of
            8, or a float of 4. ("constant", bytes): always these 10 bytes. None: it cannot be told.
        """
        found = common(ends_of(self._end), Return.x87)
        if found is None:
            return None
        _, value, size = found
        if isinstance(value, bytes):
            return "constant", extended(value[:size])
        return None if value is None else ("address", value, size)

    def entered_with(self) -> Expression | None:
        """Returns the stack pointer that the function was entered with; None: it cannot be told."""
        return common(ends_of(self._end), Return.stack_pointer)

    def hidden(self) -> Expression | None:
        """Returns the address of a result in memory, which is final already; None: it cannot be told."""
        return common(ends_of(self._end), Return.hidden)


def trace_exit(code: Code, return_offset: int, function_offset: int | None = None) -> ExitTrace | Refusal:
    """Follows a function from the exit hook's return to its own.

    Args:
        code: the file's.
        return_offset: where the hook returns to, in the file's own numbering.
        function_offset: where the function starts that the hook is called in; None: not known, then less
            can be told of functions with a frame pointer.

    Returns:
        UNWINDING where no way returns, but an exception leaves the function.
    """
    general: list[Value] = [("reg", number) if number in PRESERVED else None for number in range(16)]
    state = State(code, general, [None] * 32)
    frames = {ex.STACK_POINTER}
    if function_offset is not None and keeps_frame_pointer(code, function_offset):
        frames.add(ex.FRAME_POINTER)
    try:
        end = _follow(code, return_offset, state, frames, Budget())
        if end is None:
            return Refusal("the function does not return")
        for leaf in ends_of(end):
            _check_assumptions(leaf)
    except UntraceableError as error:
        return Refusal(str(error))
    except UnwindsError:
        return UNWINDING
    return ExitTrace(end)


class UnwindsError(Exception):
    """All ways go on with the unwinding of the stack."""


def _follow(
    code: Code, start: int, state: State, frames: set[Expression], budget: Budget
) -> Return | Fork | None:
    """Follows the code to where it returns; None: it does not."""
    address = start
    while True:
        after, step = _to_branch(code, address, state, frames, budget)
        if step.flow == Flow.JUMP:
            name = target_name(code, after, step)
            if name in _RETURNS:
                return Return(state, frozenset(frames))
            address = _jump_target(name, after, step)
            continue
        if step.flow != Flow.BRANCH:
            return Return(state, frozenset(frames)) if step.flow == Flow.RETURN else None
        target = _jump_target(None, after, step)
        condition = taken(state, step)
        if condition is None or condition[0] != "const":
            return _fork(
                condition,
                _Way(code, target, state.copy(), set(frames)),
                _Way(code, after, state, frames),
                budget,
            )
        address = target if condition[1] else after


def _to_branch(
    code: Code, address: int, state: State, frames: set[Expression], budget: Budget
) -> tuple[int, Step]:
    """Follows the code up to a jump, branch, return or end; to a call only if that does not return."""
    general = state.general
    top, results = general[RSP], general[:2]
    for after, step in until_branch(code, address, state, budget):
        if step.flow == Flow.NEXT:
            if step.mnemonic == Mnemonic.POP:
                # A way to move the stack pointer: compilers drop the results that no caller uses.
                general[:2] = [
                    now if now is before else None for now, before in zip(general, results, strict=False)
                ]
            results = general[:2]
            if general[RSP] is not top:
                top = general[RSP]
                if top is not None:
                    frames.add(ex.split(top)[0])
        elif step.flow == Flow.CALL and _calls_on(code, after, step):
            state.call()
        else:
            return after, step
    raise AssertionError("code without an end is refused")


def _calls_on(code: Code, after: int, step: Step) -> bool:
    """Tells whether a call returns."""
    name = target_name(code, after, step)
    if name in HOOKS:
        raise UntraceableError("another hook is called behind")
    if name in UNWINDS:
        raise UnwindsError
    return name not in NEVER_RETURN


def _jump_target(name: str | None, after: int, step: Step) -> int:
    if step.target is None:
        raise UntraceableError("the code there jumps through a pointer")
    if name in HOOKS:
        raise UntraceableError("another hook is called behind")
    if name is not None and ".cold" not in name:
        raise UntraceableError("it returns what another function returns")
    return after + step.target


def _fork(condition: Value, target: _Way, behind: _Way, budget: Budget) -> Return | Fork | None:
    budget.fork()
    there, here = _end_of(target, budget), _end_of(behind, budget)
    if there is None or here is None:
        return here or there
    return Fork(condition, there, here)


def _end_of(way: _Way, budget: Budget) -> Return | Fork | None:
    """Follows one of two ways; one that unwinds does not return."""
    try:
        return _follow(way.code, way.address, way.state, way.frames, budget)
    except UnwindsError:
        return None


def _check_assumptions(end: Return) -> None:
    """Refuses what was followed as if the frame pointer led to the frame, when it does not."""
    slots = end.state.memory.slots
    if IMAGE in slots and ex.FRAME_POINTER in slots and ex.FRAME_POINTER not in end.frames:
        raise UntraceableError("the code there writes to other memory")
