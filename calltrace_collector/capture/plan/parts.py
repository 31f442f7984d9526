"""Where the bytes of a value are when a hook is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Expression, Value
from calltrace_collector.capture.machine.registers import PRESERVED
from calltrace_collector.capture.signature.pieces import (
    X87,
    Memory,
    Piece,
    Register,
    ResultPiece,
    Stack,
    Xmm,
)
from calltrace_collector.capture.trace.entry_trace import EntryTrace
from calltrace_collector.capture.trace.exit_trace import ExitTrace

__all__ = ["Part", "at_entry", "at_exit", "bytes_at", "is_kept", "words"]

_WORD_BYTES = 8


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of a value; the parts of a value follow each other.

    Attributes:
        size: how many.
        value: whose lowest bytes they are, of at most 8; None: they are in memory.
        address: where they are in memory; None: they are nowhere.
    """

    size: int
    value: Value = None
    address: Value = None


def at_entry(pieces: Sequence[Piece], trace: EntryTrace) -> list[Part] | None:
    """Returns where an argument is at the entry hook; None: not all of it is there."""
    parts = [part for piece in pieces for part in _at_entry(piece, trace)]
    return parts if all(map(_is_known, parts)) else None


def _at_entry(piece: Piece, trace: EntryTrace) -> list[Part]:
    match piece:
        case Register() | Xmm():
            return _in_register(piece, trace)
        case Stack():
            return [Part(piece.size, address=trace.stack(piece.offset, piece.size))]


def _in_register(piece: Register | Xmm, trace: EntryTrace | ExitTrace) -> list[Part]:
    """Returns a part, and behind it bytes that mean nothing: they are 0, whatever they are."""
    size = piece.size - piece.padding
    if isinstance(piece, Register):
        part = Part(size, value=trace.register(piece.number, size))
    else:
        part = Part(size, value=trace.xmm(piece.number, piece.half, size))
    return [part, Part(piece.padding, value=ex.ZERO)] if piece.padding else [part]


def at_exit(pieces: Sequence[ResultPiece], trace: ExitTrace) -> list[Part] | None:
    """Returns where a result is at the exit hook, or what it will be; None: not all of it is known."""
    parts = [part for piece in pieces for part in _at_exit(piece, trace)]
    return parts if parts and all(map(_is_known, parts)) else None


def _at_exit(piece: ResultPiece, trace: ExitTrace) -> list[Part]:
    match piece:
        case Register() | Xmm():
            return _in_register(piece, trace)
        case Memory():
            return [Part(piece.size, address=trace.hidden())]
        case X87():
            return _on_x87(trace)


def _is_known(part: Part) -> bool:
    return part.value is not None or part.address is not None


def _on_x87(trace: ExitTrace) -> list[Part]:
    """Returns the 10 bytes of a long double, or the double or float that becomes one; [] if not known."""
    match trace.x87():
        case ("constant", bytes() as content):
            low, high = content[:_WORD_BYTES], content[_WORD_BYTES:]
            return [
                Part(8, value=ex.const(int.from_bytes(low, "little"))),
                Part(2, value=ex.const(int.from_bytes(high, "little"))),
            ]
        case ("address", address, 10):
            return [
                Part(8, value=ex.load(address, 8)),
                Part(2, value=ex.load(ex.offset_by(address, 8), 2)),
            ]
        case ("address", address, 8 | 4 as size):
            return [Part(size, address=address)]
    return []


def is_kept(part: Part) -> bool:
    """Tells whether the function has put an argument where calls leave it alone: it will use it."""
    return part.value is not None and _is_saved(part.value)


def _is_saved(e: Expression) -> bool:
    if e[0] == "reg":
        return e[1] in PRESERVED
    return e[0] != "xmm" and all(_is_saved(operand) for operand in e[1:] if isinstance(operand, tuple))


def words(parts: Sequence[Part]) -> list[Expression] | None:
    """Returns the value as numbers of 8 bytes, lowest first; None: that is not possible."""
    size = sum(part.size for part in parts)
    found = [bytes_at(parts, start, min(_WORD_BYTES, size - start)) for start in range(0, size, _WORD_BYTES)]
    known = [word for word in found if word is not None]
    return known if len(known) == len(found) else None


def bytes_at(parts: Sequence[Part], offset: int, size: int) -> Value:
    """Returns at most 8 bytes of the value as a number; what is above them is of no meaning.

    None: not all of them are known.
    """
    result: Value = ex.ZERO
    position = 0
    for part in parts:
        first, last = max(position, offset), min(position + part.size, offset + size)
        if first < last:
            whole = first == offset and last == offset + size
            piece = _bytes_of(part, first - position, last - first, exact=not whole)
            if whole:
                return piece
            result = ex.binary("|", result, ex.binary("<<", piece, ex.const(8 * (first - offset))))
        position += part.size
    return result if position >= offset + size else None


def _bytes_of(part: Part, offset: int, size: int, *, exact: bool) -> Value:
    """Returns bytes of a part; with `exact`, those above are 0."""
    if part.address is not None:
        return _loaded(ex.offset_by(part.address, offset), size)
    found = ex.binary(">>", part.value, ex.const(8 * offset)) if offset else part.value
    if size in (1, 2, 4):
        return ex.zero(size, found)
    return ex.binary("&", found, ex.const((1 << 8 * size) - 1)) if exact else found


def _loaded(address: Expression, size: int) -> Value:
    """Returns bytes of memory, those above 0: nothing else than these is read."""
    result: Value = ex.ZERO
    position = 0
    for step in (8, 4, 2, 1):
        while position + step <= size:
            piece = ex.load(ex.offset_by(address, position), step)
            result = ex.binary("|", result, ex.binary("<<", piece, ex.const(8 * position)))
            position += step
    return result
