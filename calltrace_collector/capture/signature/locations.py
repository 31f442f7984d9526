"""Where the debug information says that a parameter is on entry, as far as it says so plainly.

Format: DWARF 5, sections 2.6.1 (locations) and 7.7.1 (their encoding).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from calltrace_collector.capture.machine.registers import ARGUMENTS, RBP, RSP
from calltrace_collector.capture.signature.pieces import Piece, Register, Stack, Xmm
from calltrace_collector.symbols.leb128 import signed, unsigned
from calltrace_collector.symbols.loclists import is_list, location_at, locations
from calltrace_collector.symbols.unit import Unit, Value

__all__ = ["EntryLocation", "entry_location"]

_DEREF, _REG0, _BREG0, _REGX, _FBREG = 0x06, 0x50, 0x70, 0x90, 0x91
_PIECE, _CALL_FRAME_CFA, _ENTRY_VALUE, _GNU_ENTRY_VALUE = 0x93, 0x9C, 0xA3, 0xF3
_FIRST_XMM = 17
_CFA_ON_ENTRY = 8  # from the stack pointer on entry
_FRAME_POINTER_FROM_ENTRY = -8  # where rbp points once it is set up
_MAX_PIECES = 16


@dataclass(frozen=True, slots=True)
class EntryLocation:
    """What is said of a parameter.

    Attributes:
        pieces: where it is on entry; None if that is not said, or not plainly.
        address: the register that its address is in, if that is what is said; else None.
        is_in_register: it, or its address, is in a register at some time.
        is_in_frame: it, or its address, is at one place of the frame throughout.
        is_by_address: what is said is where its address is.
    """

    pieces: tuple[Piece, ...] | None = None
    address: int | None = None
    is_in_register: bool = False
    is_in_frame: bool = False
    is_by_address: bool = False


def entry_location(unit: Unit, value: Value, low_pc: int, size: int, frame_base: bytes) -> EntryLocation:
    """Reads where a parameter is when its function is entered.

    Args:
        unit: of the parameter's entry.
        value: of its DW_AT_location.
        low_pc: the function's first instruction.
        size: of the parameter in bytes.
        frame_base: the expression of the function's DW_AT_frame_base.

    Raises:
        IndexError, KeyError, ValueError, SymbolError: the data are damaged.
    """
    expression = location_at(unit, value, low_pc)
    found = _on_entry(expression, size, frame_base, is_always=not is_list(value)) if expression else None
    found = found or EntryLocation()
    if found.is_in_register:
        return found
    return replace(found, is_in_register=any(_names_register(one) for _, _, one in locations(unit, value)))


def _names_register(expression: bytes) -> bool:
    """Tells whether an expression says that something is or was in a register, and not in memory."""
    first = expression[0] if expression else 0
    return _REG0 <= first < _BREG0 or first in (_REGX, _ENTRY_VALUE, _GNU_ENTRY_VALUE)


def _on_entry(expression: bytes, size: int, frame_base: bytes, *, is_always: bool) -> EntryLocation | None:
    whole = _one_place(expression, size, frame_base, is_always=is_always)
    if whole is not None:
        return whole
    pieces = _pieces(expression)
    if pieces is None or sum(piece.size for piece in pieces) != size:
        return None
    return EntryLocation(pieces=pieces, is_in_register=True)


def _one_place(expression: bytes, size: int, frame_base: bytes, *, is_always: bool) -> EntryLocation | None:
    """Reads an expression of one operation; None if it is something else."""
    register, end = _register(expression, 0)
    if register is not None and end == len(expression):
        return EntryLocation(pieces=_in_register(register, size), is_in_register=True)
    operation = expression[0]
    if operation == _FBREG:
        offset, end = signed(expression, 1)
        base = _frame_base_from_entry(frame_base)
        if end == len(expression) and base is not None:
            return _in_memory(base + offset, size, is_always=is_always)
        if expression[end:] in (b"", bytes([_DEREF])):
            return EntryLocation(is_in_frame=is_always, is_by_address=bool(expression[end:]))
    elif _BREG0 <= operation < _BREG0 + 16:
        offset, end = signed(expression, 1)
        register = operation - _BREG0
        if end == len(expression) and register == RSP and not is_always:
            return _in_memory(offset, size, is_always=False)
        if end == len(expression) and register in ARGUMENTS and offset == 0:
            return EntryLocation(None, register, is_in_register=True, is_by_address=True)
        if expression[end:] in (b"", bytes([_DEREF])):
            # A frame that is aligned has its places counted from other registers.
            return EntryLocation(is_in_frame=is_always, is_by_address=bool(expression[end:]))
    return None


def _in_memory(offset: int, size: int, *, is_always: bool) -> EntryLocation:
    # Above the return address are arguments, below is what the function has yet to write.
    if offset >= 8 and size > 0:
        return EntryLocation((Stack(offset, size),), is_in_frame=is_always)
    return EntryLocation(is_in_frame=is_always)


def _frame_base_from_entry(frame_base: bytes) -> int | None:
    """Returns what DW_OP_fbreg counts from, in bytes from the stack pointer on entry; None if unknown."""
    if frame_base == bytes([_CALL_FRAME_CFA]):
        return _CFA_ON_ENTRY
    if frame_base == bytes([_REG0 + RBP]):
        return _FRAME_POINTER_FROM_ENTRY
    return None


def _pieces(expression: bytes) -> tuple[Piece, ...] | None:
    """Reads registers, each followed by how much of the parameter is in it; None if it is otherwise.

    A piece that is nowhere is padding if a register before it has room for it.
    """
    found: list[Piece] = []
    position = 0
    while position < len(expression):
        register, position = _register(expression, position)
        if position >= len(expression) or expression[position] != _PIECE:
            return None
        size, position = unsigned(expression, position + 1)
        if register is None:
            if not found or found[-1].size + size > 8:
                return None
            found[-1] = replace(found[-1], size=found[-1].size + size)
            continue
        part = _in_register(register, size)
        if part is None or len(found) == _MAX_PIECES:
            return None
        found += part
    return tuple(found)


def _register(expression: bytes, position: int) -> tuple[int | None, int]:
    """Reads an operation that names a register; returns its DWARF number, or None, and the position after."""
    operation = expression[position]
    if _REG0 <= operation < _REG0 + 32:
        return operation - _REG0, position + 1
    if operation == _REGX:
        return unsigned(expression, position + 1)
    return None, position


def _in_register(register: int, size: int) -> tuple[Piece, ...] | None:
    if register < 16 and 0 < size <= 8:
        return (Register(register, size),)
    if _FIRST_XMM <= register < _FIRST_XMM + 16 and 0 < size <= 16:
        number = register - _FIRST_XMM
        if size <= 8:
            return (Xmm(number, 0, size),)
        return Xmm(number, 0, 8), Xmm(number, 1, size - 8)
    return None
