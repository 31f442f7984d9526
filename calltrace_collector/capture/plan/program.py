"""Capture programs: expressions as the bytes that an agent runs (agent/record/capture_program.h)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum

from calltrace_collector.capture.machine.expression import BINARY, Expression, signed
from calltrace_collector.model.capture import PROGRAM_BYTES

__all__ = [
    "DEPTH",
    "MEMORY_BYTES",
    "PROGRAM_BYTES",
    "VALUE_BYTES",
    "Instruction",
    "ItemKind",
    "TooLargeError",
    "frame_item",
    "memory_item",
    "string_item",
    "text_item",
    "value_item",
]

MEMORY_BYTES = 1024
"""Of one item, CAPTURE_MEMORY_BYTES."""
DEPTH = 32
"""Numbers on the stack, CAPTURE_DEPTH."""
VALUE_BYTES = 16
"""Of an item that is made of numbers."""


class ItemKind(IntEnum):
    """What an item of a program leaves: enum capture_item."""

    VALUE = 1
    MEMORY = 2
    TEXT = 3
    STRING = 4
    FRAME = 5


class Instruction(IntEnum):
    """What a program is made of: enum capture_op."""

    END = 0
    REGISTER = 1
    XMM = 2
    CONST8 = 3
    CONST32 = 4
    CONST64 = 5
    IMAGE = 6
    LOAD = 7
    ZERO = 8
    SIGN = 9
    NOT = 10
    NEGATE = 11
    ADD = 12
    SUBTRACT = 13
    MULTIPLY = 14
    AND = 15
    OR = 16
    XOR = 17
    SHIFT_LEFT = 18
    SHIFT_RIGHT = 19
    SHIFT_SIGNED = 20
    EQUAL = 21
    NOT_EQUAL = 22
    LESS = 23
    LESS_EQUAL = 24
    BELOW = 25
    BELOW_EQUAL = 26
    SELECT = 27
    INSERT = 28
    ADD_D = 29
    SUBTRACT_D = 30
    MULTIPLY_D = 31
    DIVIDE_D = 32
    ADD_F = 33
    SUBTRACT_F = 34
    MULTIPLY_F = 35
    DIVIDE_F = 36
    F_TO_D = 37
    D_TO_F = 38
    I64_TO_D = 39
    I64_TO_F = 40
    I32_TO_D = 41
    I32_TO_F = 42
    D_TO_I64 = 43
    F_TO_I64 = 44
    D_TO_I32 = 45
    F_TO_I32 = 46


_BINARY = dict(
    zip(
        ("+", "-", "*", "&", "|", "^", "<<", ">>", "s>>", "==", "!=", "s<", "s<=", "u<", "u<="),
        list(Instruction)[Instruction.ADD :],
        strict=False,
    )
)
_EXTENDING = {"zero": Instruction.ZERO, "sign": Instruction.SIGN}
_OPERATORS = {**_BINARY, "not": Instruction.NOT, "neg": Instruction.NEGATE, "select": Instruction.SELECT}
_FLOATING = {one.name.lower(): one for one in list(Instruction)[Instruction.ADD_D :]}
_SIZES = (1, 2, 4, 8)


class TooLargeError(Exception):
    """An expression takes more room than an agent has."""


def value_item(size: int, words: Sequence[Expression]) -> bytes:
    """Returns an item that leaves numbers.

    Args:
        size: bytes that it leaves, 1 to 16.
        words: one expression for each 8 bytes begun, lowest first.

    Raises:
        TooLargeError: an expression needs too much of the agent's stack.
    """
    if not 1 <= size <= VALUE_BYTES or len(words) != (size + 7) // 8:
        raise ValueError(f"{size} bytes in {len(words)} words")
    *whole, last = words
    last = _lowest((size - 1) % 8 + 1, last)
    return bytes((ItemKind.VALUE, size)) + b"".join(map(_assembled, (*whole, last)))


def memory_item(size: int, address: Expression) -> bytes:
    """Returns an item that leaves what lies at an address, at most MEMORY_BYTES; raises TooLargeError."""
    if not 1 <= size <= MEMORY_BYTES:
        raise ValueError(f"{size} bytes of memory")
    return struct.pack("<BH", ItemKind.MEMORY, size) + _assembled(address)


def text_item(address: Expression) -> bytes:
    """Returns an item that leaves the characters at an address up to a zero; raises TooLargeError."""
    return bytes((ItemKind.TEXT,)) + _assembled(address)


def string_item(address: Expression, length: Expression) -> bytes:
    """Returns an item that leaves so many characters at an address; raises TooLargeError."""
    return bytes((ItemKind.STRING,)) + _assembled(address) + _assembled(length)


def frame_item(stack_pointer: Expression) -> bytes:
    """Returns an item that says which stack pointer the call's entry hook had; raises TooLargeError."""
    return bytes((ItemKind.FRAME,)) + _assembled(stack_pointer)


def _lowest(size: int, e: Expression) -> Expression:
    """Drops what only changes bytes above the lowest."""
    while e[0] in _EXTENDING and e[1] >= size:
        e = e[2]
    return e


def _assembled(expression: Expression) -> bytes:
    out = bytearray()
    if _append(out, expression) > DEPTH:
        raise TooLargeError
    out.append(Instruction.END)
    return bytes(out)


def _append(out: bytearray, e: Expression) -> int:  # noqa: PLR0911 - one for each kind of expression
    """Appends the instructions that push an expression; returns how many numbers the stack must hold."""
    kind = e[0]
    match kind:
        case "reg":
            out += bytes((Instruction.REGISTER, _below(e[1], 16)))
            return 1
        case "xmm":
            out += bytes((Instruction.XMM, _below(2 * e[1] + _below(e[2], 2), 16)))
            return 1
        case "const":
            out += _constant(signed(e[1]))
            return 1
        case "image":
            out += struct.pack("<Bq", Instruction.IMAGE, signed(e[1]))
            return 1
        case "load":
            depth = _append(out, e[1])
            out += bytes((Instruction.LOAD, _size(e[2], 8)))
            return depth
        case "zero" | "sign":
            depth = _append(out, e[2])
            out += bytes((_EXTENDING[kind], _size(e[1], 4)))
            return depth
        case "insert":
            depth = _append_all(out, e[2:])
            out += bytes((Instruction.INSERT, _size(e[1], 4)))
            return depth
        case "fp":
            depth = _append_all(out, e[2:])
            out.append(_FLOATING[e[1]])
            return depth
    operator = _OPERATORS.get(kind)
    if operator is None:
        raise ValueError(f"no agent understands {kind}")
    depth = _append_all(out, e[1:])
    out.append(operator)
    return depth


def _append_all(out: bytearray, operands: Sequence[Expression]) -> int:
    return max(place + _append(out, operand) for place, operand in enumerate(operands))


def _constant(value: int) -> bytes:
    if -(1 << 7) <= value < 1 << 7:
        return struct.pack("<Bb", Instruction.CONST8, value)
    if -(1 << 31) <= value < 1 << 31:
        return struct.pack("<Bi", Instruction.CONST32, value)
    return struct.pack("<Bq", Instruction.CONST64, value)


def _below(number: int, limit: int) -> int:
    if not 0 <= number < limit:
        raise ValueError(f"no agent sees register {number}")
    return number


def _size(size: int, most: int) -> int:
    if size not in _SIZES or size > most:
        raise ValueError(f"an operand of {size} bytes")
    return size


if set(_BINARY) != set(BINARY):
    raise AssertionError("expressions have operators that agents do not know")
