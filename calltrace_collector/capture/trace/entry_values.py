"""What the registers and the stack at the entry hook tell of what registers held on entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Expression
from calltrace_collector.capture.machine.memory import stack_range
from calltrace_collector.capture.machine.registers import CHANGED, PRESERVED, RSP
from calltrace_collector.capture.machine.state import State
from calltrace_collector.capture.trace.entry_inverse import ATOMS, Piece, joined, one_of_two, read_back

_SAVED = tuple(number for number in PRESERVED if number != RSP)
_UNSAVED = tuple(number for number in CHANGED if number not in (10, 11))
VISIBLE = _SAVED + _UNSAVED
"""The general registers at the hook that are read, by DWARF number; stubs on the way change 10 and 11."""

VISIBLE_XMM = 8
"""So many xmm registers, from the first."""


class Values:
    """One way to the hook: what is there, as expressions over what the hook sees."""

    def __init__(self, state: State) -> None:
        self._state = state

    def at_hook(self, number: int) -> Expression | None:
        """Returns what a general register holds at the hook, over what there was on entry."""
        return self._state.general[number]

    def stack(self, offset: int, size: int) -> Expression | None:
        """Returns the address of bytes on the stack, if they are what they were on entry."""
        if offset < 0 or size <= 0 or not self._state.memory.untouched(ex.STACK, offset, size):
            return None
        start = self._address(ex.STACK)
        if start is None:
            start = self.value(ex.STACK, 8, ())
        return None if start is None else ex.offset_by(start, offset)

    def value(self, atom: Expression, size: int, others: Sequence[Values]) -> Expression | None:
        """Returns the lowest bytes of a value on entry, out of pieces that the other ways have as well."""
        pieces = [
            piece for piece in self._pieces.get(atom, ()) if all(other._has(atom, piece) for other in others)
        ]
        return joined(pieces, size)

    def _has(self, atom: Expression, piece: Piece) -> bool:
        start, count, found = piece
        return any(
            start == other_start and count <= other_count and found == other_found
            for other_start, other_count, other_found in self._pieces.get(atom, ())
        )

    @cached_property
    def _pieces(self) -> dict[Expression, list[Piece]]:
        pieces: dict[Expression, list[Piece]] = {}
        mixed = []
        for value, found, size in self._visible():
            for atom, piece in read_back(value, found, size):
                if atom[0] in ATOMS:
                    pieces.setdefault(atom, []).append(piece)
                else:
                    mixed.append((atom, piece))
        for value, (_, size, found) in mixed:
            for atom, piece in one_of_two(value, found, size, pieces):
                pieces.setdefault(atom, []).append(piece)
        return pieces

    def _visible(self) -> Iterator[tuple[Expression, Expression, int]]:
        """Gives what there is at the hook: the value, where it is, and how many bytes of it.

        First comes what the function has saved: it will use that. What just has not been overwritten, may
        be an argument that its callers know not to be used, and so never set.
        """
        yield from self._in_general(_SAVED)
        yield from self._on_stack()
        yield from self._in_general(_UNSAVED)
        for place in range(2 * VISIBLE_XMM):
            value = self._state.xmm[place]
            if value is not None:
                yield value, ("xmm", place >> 1, place & 1), 8

    def _in_general(self, numbers: Sequence[int]) -> Iterator[tuple[Expression, Expression, int]]:
        for number in numbers:
            value = self._state.general[number]
            if value is not None:
                yield value, ("reg", number), 8

    def _on_stack(self) -> Iterator[tuple[Expression, Expression, int]]:
        state = self._state
        top = state.general[RSP]
        if top is None:
            return
        yield top, ex.STACK_POINTER, 8
        for base, slots in state.memory.slots.items():
            start = self._address(base)
            if start is None:
                continue
            for offset, (size, value) in slots.items():
                if value is not None and size <= 8 and _above(top, base, offset):
                    yield value, ("load", ex.offset_by(start, offset), size), size

    def _address(self, base: Expression) -> Expression | None:
        """Returns a base of addresses as the hook sees it."""
        for number in (RSP, *VISIBLE):
            value = self._state.general[number]
            if value is not None:
                start, distance = ex.split(value)
                if start == base:
                    return ex.offset_by(("reg", number), -distance)
        return None


def _above(top: Expression, base: Expression, offset: int) -> bool:
    """Tells whether a place certainly lies above the stack pointer, where calls change nothing."""
    top_base, top_offset = ex.split(top)
    if top_base == base:
        return offset >= top_offset
    top_range, base_range = stack_range(top_base), stack_range(base)
    return (
        top_range is not None
        and base_range is not None
        and base_range[0] + offset >= top_range[1] + top_offset
    )
