"""What expressions are: their kinds, and what can be told of one by looking at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from calltrace_collector.capture.machine.registers import RBP, RSP

Expression = tuple[Any, ...]
Value = Expression | None

MASK = (1 << 64) - 1
MAX_WEIGHT = 96
"""Parts of an expression; with more it counts as unknown, since expressions may double at each step."""

ZERO: Expression = ("const", 0)
UNKNOWN: Expression = ("unknown",)
STACK: Expression = ("in", RSP)
"""The stack pointer on entry: where the return address lies."""
STACK_POINTER: Expression = ("reg", RSP)
"""The stack pointer that the hook sees."""
FRAME_POINTER: Expression = ("reg", RBP)
"""What the hook sees where functions may keep a frame pointer."""


def signed(value: int, size: int = 8) -> int:
    """Returns the number that the lowest `size` bytes are, with a sign."""
    bits = 8 * size
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


BINARY: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "<<": lambda a, b: a << (b & 63),
    ">>": lambda a, b: a >> (b & 63),
    "s>>": lambda a, b: signed(a) >> (b & 63),
    "==": lambda a, b: int(a == b),
    "!=": lambda a, b: int(a != b),
    "s<": lambda a, b: int(signed(a) < signed(b)),
    "s<=": lambda a, b: int(signed(a) <= signed(b)),
    "u<": lambda a, b: int(a < b),
    "u<=": lambda a, b: int(a <= b),
}
"""What each binary operator does with two 64-bit numbers; the result is to be cut to 64 bits."""

COMPARISONS = frozenset(("==", "!=", "s<", "s<=", "u<", "u<="))


def const(value: int) -> Expression:
    """Returns a constant, cut to 64 bits."""
    return ("const", value & MASK)


def image(offset: int) -> Expression:
    """Returns an address in the module, given in the file's own numbering."""
    return ("image", offset)


def weight(e: Expression) -> int:
    """Returns of how many parts an expression is."""
    return 1 + sum(weight(part) for part in e if type(part) is tuple)


def width(e: Expression) -> int:
    """Returns in how many of its lowest bytes an expression may have bits: at most 8."""
    kind = e[0]
    if kind == "load":
        return int(e[2])
    if kind == "zero":
        return int(e[1])
    if kind in COMPARISONS:
        return 1
    if kind == "const":
        return (int(e[1]).bit_length() + 7) // 8
    if kind == "&":
        return min(width(e[1]), width(e[2]))
    return 4 if kind == "fp" and e[1].endswith(("_f", "_i32")) else 8


def split(e: Expression) -> tuple[Expression, int]:
    """Returns an address as what it is relative to, and the distance in bytes (signed)."""
    kind = e[0]
    if kind == "+" and e[2][0] == "const":
        return e[1], signed(e[2][1])
    if kind == "image":
        return ("image", 0), e[1]
    if kind == "const":
        return ZERO, signed(e[1])
    return e, 0


def offset_by(e: Expression, distance: int) -> Expression:
    """Returns e + distance, of an e that is wholly known."""
    kind = e[0]
    if kind == "const":
        return ("const", (e[1] + distance) & MASK)
    if kind == "image":
        return ("image", e[1] + distance)
    if kind == "+" and e[2][0] == "const":
        distance += e[2][1]
        e = e[1]
    distance &= MASK
    return ("+", e, ("const", distance)) if distance else e


def is_partial(e: Expression) -> bool:
    """Tells whether only the lowest bytes of an expression are known."""
    return e[0] == "insert" and e[2] is UNKNOWN


def are_usable(*parts: Value) -> bool:
    """Tells whether all are wholly known, and not too large together."""
    total = 0
    for part in parts:
        if part is None or is_partial(part):
            return False
        total += weight(part)
    return total < MAX_WEIGHT
