"""What is known of memory on the way through a piece of code: what was stored, and what that may have hit.

Memory is looked at by base: addresses with the same base are told apart by their distances. Of two with
different bases it is known only where both are on the stack at known distances, or one in the module's image.
"""

from __future__ import annotations

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Expression, Value

MAX_PARTS = 4
"""Of how many stores and gaps between them a load may be put together."""

_IMAGE: Expression = ("image", 0)
_FRAME_POINTERS: tuple[Expression, ...] = (ex.STACK, ex.STACK_POINTER, ex.FRAME_POINTER)

Slot = tuple[int, Value]
"""How many bytes were stored, and what; None: not known."""


class Memory:
    """Memory, as stores change it.

    Attributes:
        slots: by base and distance, what was stored; they do not overlap. Whatever was stored to is in one,
            unless `lost`.
        lost: something was stored, and it is not known where: what memory held at first is not known
            any more.
    """

    __slots__ = ("lost", "slots")

    def __init__(self) -> None:
        self.slots: dict[Expression, dict[int, Slot]] = {}
        self.lost = False

    def copy(self) -> Memory:
        """Returns one that changes by itself."""
        other = Memory()
        other.slots = {base: slots.copy() for base, slots in self.slots.items()}
        other.lost = self.lost
        return other

    def lose(self) -> None:
        """Forgets all: something was stored anywhere."""
        self.slots = {}
        self.lost = True

    def store(self, base: Expression, offset: int, size: int, value: Value) -> None:
        """Notes a store of any number of bytes; a value that is known has 1, 2, 4 or 8."""
        for other, slots in self.slots.items():
            if other == base:
                _cut(slots, offset, size)
                continue
            for at, (length, known) in slots.items():
                if known is not None and _may_overlap(base, offset, size, other, at, length):
                    slots[at] = (length, None)
        self.slots.setdefault(base, {})[offset] = (size, value)

    def load(self, base: Expression, offset: int, size: int) -> Value:
        """Returns 1, 2, 4 or 8 bytes, zero-extended; what memory held at first is a "load"."""
        slots = self.slots.get(base)
        if slots is not None:
            slot = slots.get(offset)
            if slot is not None and slot[0] == size:
                return ex.zero(size, slot[1])
            if any(at < offset + size and offset < at + length for at, (length, _) in slots.items()):
                return self._assembled(base, offset, size)
        return self._first(base, offset, size)

    def untouched(self, base: Expression, offset: int, size: int) -> bool:
        """Tells whether these bytes still are what they were at first."""
        return not self.lost and not any(
            _may_overlap(base, offset, size, other, at, length)
            for other, slots in self.slots.items()
            for at, (length, _) in slots.items()
        )

    def _first(self, base: Expression, offset: int, size: int) -> Value:
        if not self.untouched(base, offset, size) or ex.weight(base) >= ex.MAX_WEIGHT:
            return None
        return ("load", ex.offset_by(base, offset), size)

    def _assembled(self, base: Expression, offset: int, size: int) -> Value:
        """Puts together a load that does not match one store."""
        slots = self.slots[base]
        result: Value = ex.ZERO
        position = offset
        for _ in range(MAX_PARTS):
            count, value = self._part(base, slots, position, offset + size - position)
            result = ex.binary(
                "|", result, ex.binary("<<", ex.zero(count, value), ex.const(8 * (position - offset)))
            )
            position += count
            if result is None or position == offset + size:
                return result
        return None

    def _part(self, base: Expression, slots: dict[int, Slot], position: int, count: int) -> tuple[int, Value]:
        """Returns how many bytes (1, 2, 4 or 8; at most `count`) come from one place, and what they are."""
        for at, (length, value) in slots.items():
            if at <= position < at + length:
                count = _power(min(count, at + length - position))
                return count, _shifted(value, position - at)
            if position < at:
                count = min(count, at - position)
        count = _power(count)
        return count, self._first(base, position, count)


def _power(count: int) -> int:
    """Returns the largest of 1, 2, 4, 8 that is not more than count."""
    return 1 << (min(count, 8).bit_length() - 1)


def _shifted(value: Value, count: int) -> Value:
    return ex.binary(">>", value, ex.const(8 * count)) if count else value


def _cut(slots: dict[int, Slot], offset: int, size: int) -> None:
    """Takes a range of bytes out of what was stored before; what remains of a store stays known."""
    end = offset + size
    hit = [(at, *slot) for at, slot in slots.items() if at < end and offset < at + slot[0]]
    for at, length, value in hit:
        del slots[at]
        if at < offset:
            slots[at] = _piece(value, 0, offset - at)
        if end < at + length:
            slots[end] = _piece(value, end - at, at + length - end)


def _piece(value: Value, skip: int, length: int) -> Slot:
    return (length, ex.zero(length, _shifted(value, skip)) if length in (1, 2, 4) else None)


def stack_range(base: Expression) -> tuple[int, int] | None:
    """Returns between which distances from the stack pointer on entry a base lies; None where not known."""
    if base == ex.STACK:
        return 0, 0
    # A stack pointer that was rounded down.
    if base[0] == "&" and base[2][0] == "const":
        start, distance = ex.split(base[1])
        mask = ex.signed(base[2][1])
        if start == ex.STACK and -4096 <= mask < 0 and mask & -mask == -mask:
            return distance + mask + 1, distance
    return None


def _may_overlap(
    base_a: Expression, offset_a: int, size_a: int, base_b: Expression, offset_b: int, size_b: int
) -> bool:
    if base_a == base_b:
        return offset_a < offset_b + size_b and offset_b < offset_a + size_a
    range_a, range_b = stack_range(base_a), stack_range(base_b)
    if range_a is not None and range_b is not None:
        return (
            range_a[0] + offset_a < range_b[1] + offset_b + size_b
            and range_b[0] + offset_b < range_a[1] + offset_a + size_a
        )
    if base_a == _IMAGE:
        return range_b is None and base_b not in _FRAME_POINTERS
    if base_b == _IMAGE:
        return range_a is None and base_a not in _FRAME_POINTERS
    return True
