"""Reading expressions backwards: what something at the hook tells of values on entry.

Everything here is about the lowest bytes of numbers: of what was computed with 32 bits, the lowest four are
known; of what was cut to a byte, one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Expression, Value
from calltrace_collector.capture.machine.moves import reversed_bytes

ATOMS = frozenset(("in", "xin"))
"""Values on entry."""

Piece = tuple[int, int, Expression]
"""Bytes of a value: the first, how many, and an expression over what the hook sees whose lowest they are."""

Pieces = Mapping[Expression, Sequence[Piece]]

_MIXED = frozenset(("+", "-", "^"))
_UNDO = {"+": "-", "-": "+", "^": "^"}


def read_back(value: Expression, found: Expression, size: int) -> Iterator[tuple[Expression, Piece]]:
    """Gives what an expression tells of values on entry.

    Args:
        value: what is there, over values on entry.
        found: the same, over what the hook sees.
        size: of how many of the lowest bytes both are the same.

    Yields:
        A value on entry, and bytes of it. Also sums, differences and exclusive-ors of two, with the bytes
        that are known of them: see one_of_two.
    """
    undone: Value = found
    while undone is not None and size > 0:
        found = undone
        kind = value[0]
        if kind in ATOMS:
            yield value, (0, size, found)
            return
        if kind == "insert":
            upper = ex.binary(">>", found, ex.const(8 * value[1]))
            if upper is not None:
                yield from _upper_bytes(value[2], value[1], upper, size)
        elif kind in (">>", "s>>") and value[2][0] == "const" and value[2][1] % 8 == 0:
            skipped = value[2][1] // 8
            yield from _upper_bytes(value[1], skipped, found, size + skipped)
            return
        elif kind in _MIXED and "const" not in (value[1][0], value[2][0]):
            yield value, (0, size, found)
            return
        value, undone, size = _undone(value, found, size)


def _undone(value: Expression, found: Expression, size: int) -> tuple[Expression, Value, int]:
    """Takes the outermost step back; gives None for what cannot be taken back."""
    kind = value[0]
    if kind in ("zero", "sign", "insert"):
        return value[-1], found, min(size, value[1])
    if kind in ("neg", "not"):
        return value[1], (ex.negate if kind == "neg" else ex.complement)(found), size
    if kind in _MIXED and value[2][0] == "const":
        return value[1], ex.binary(_UNDO[kind], found, value[2]), size
    if kind == "-" and value[1][0] == "const":
        return value[2], ex.subtract(value[1], found), size
    if kind == "<<" and value[2][0] == "const":
        return value[1], ex.binary(">>", _exactly(size, found), value[2]), (8 * size - value[2][1]) // 8
    return _swapped_back(value, found, size)


def _swapped_back(value: Expression, found: Expression, size: int) -> tuple[Expression, Value, int]:
    """Takes bswap back: the first part of such an expression is its last byte, shifted down."""
    if value[0] == "|":
        last = value[1][2] if value[1][0] == "zero" else value[1]
        if last[0] == ">>" and last[2] in (("const", 24), ("const", 56)):
            count = last[2][1] // 8 + 1
            if count <= size and reversed_bytes(count, last[1]) == value:
                return last[1], reversed_bytes(count, found), count
    return value, None, 0


def _upper_bytes(
    value: Expression, start: int, found: Expression, size: int
) -> Iterator[tuple[Expression, Piece]]:
    """Gives of a value its bytes from `start` up to `size` or its end, which are the lowest of `found`."""
    size = min(size, 8)
    while value[0] in ("zero", "sign"):
        size, value = min(size, value[1]), value[2]
    if value[0] in ATOMS and start < size:
        yield value, (start, size - start, found)


def one_of_two(
    value: Expression, found: Expression, size: int, pieces: Pieces
) -> Iterator[tuple[Expression, Piece]]:
    """Gives what a sum, difference or exclusive-or tells of one operand, where the other is known.

    Args:
        value: it, as read_back gives it.
        found: the same, over what the hook sees.
        size: of how many of the lowest bytes.
        pieces: what is known.
    """
    kind, a, b = value
    other = _expressed(b, size, pieces)
    if other is not None:
        undone = ex.binary(_UNDO[kind], found, other)
        if undone is not None:
            yield from _atoms(read_back(a, undone, size))
    other = _expressed(a, size, pieces)
    if other is not None:
        undone = ex.subtract(other, found) if kind == "-" else ex.binary(_UNDO[kind], found, other)
        if undone is not None:
            yield from _atoms(read_back(b, undone, size))


def _atoms(found: Iterator[tuple[Expression, Piece]]) -> Iterator[tuple[Expression, Piece]]:
    return ((atom, piece) for atom, piece in found if atom[0] in ATOMS)


def _expressed(e: Expression, size: int, pieces: Pieces) -> Value:
    """Returns an expression over what the hook sees whose lowest bytes are e's; None: there is none."""
    kind = e[0]
    if kind in ATOMS:
        return joined(pieces.get(e, ()), size)
    if kind in ("const", "image"):
        return e
    if kind in ("zero", "sign"):
        inner = _expressed(e[2], min(size, e[1]), pieces)
        return (ex.zero if kind == "zero" else ex.sign)(e[1], inner)
    if kind in ("+", "-", "*") or (kind == "<<" and e[2][0] == "const"):
        return ex.binary(kind, _expressed(e[1], size, pieces), _expressed(e[2], size, pieces))
    return None


def joined(pieces: Sequence[Piece], size: int) -> Value:
    """Puts the lowest `size` bytes of a value together out of pieces; what is above is of no meaning."""
    for start, count, found in pieces:
        if start == 0 and count >= size:
            return lowest(size, found)
    result: Value = ex.ZERO
    position = 0
    while position < size and result is not None:
        fitting = [piece for piece in pieces if piece[0] == position]
        if not fitting:
            return None
        _, count, found = max(fitting, key=lambda piece: piece[1])
        count = min(count, size - position)
        part = _exactly(count, found)
        result = ex.binary("|", result, ex.binary("<<", part, ex.const(8 * position)))
        position += count
    return result


def lowest(size: int, value: Expression) -> Expression:
    """Returns the lowest bytes, without the others where that is simple."""
    result = ex.zero(size, value) if size in (1, 2, 4) else value
    return value if result is None else result


def _exactly(size: int, value: Expression) -> Value:
    if size in (1, 2, 4, 8):
        return ex.zero(size, value)
    return ex.binary("&", value, ex.const((1 << 8 * size) - 1))
