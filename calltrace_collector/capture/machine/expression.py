"""Expressions over what a hook can see: registers, memory, constants; folded as they are made of others.

An expression is a tuple: the name of what it is, then what that takes. It stands for a 64-bit number:

    ("const", value)             ("reg", DWARF number)        ("xmm", number, half)
    ("image", offset)            ("load", address, size)      zero-extended
    ("zero", size, e)            ("sign", size, e)            extended from its lowest `size` bytes
    ("not", e)  ("neg", e)       ("insert", size, a, b)       a, its lowest `size` bytes replaced by b's
    ("select", c, a, b)          (operator, a, b)             one of BINARY
    ("fp", name, a[, b])         one of the floating-point operations of the agent

Two more are of a function's entry, and never leave the trace of one: ("in", DWARF number) and
("xin", number, half) are what a register held then. Where nothing is known, there is None instead.
("unknown",) stands within ("insert", size, ("unknown",), b) only: just the lowest bytes are known.

What each stands for at the agent: agent/record/capture_program.h.
"""

from __future__ import annotations

from calltrace_collector.capture.machine.expression_kinds import (
    BINARY,
    COMPARISONS,
    FRAME_POINTER,
    MASK,
    MAX_WEIGHT,
    STACK,
    STACK_POINTER,
    UNKNOWN,
    ZERO,
    Expression,
    Value,
    are_usable,
    const,
    image,
    is_partial,
    offset_by,
    signed,
    split,
    weight,
    width,
)

__all__ = [
    "BINARY",
    "FRAME_POINTER",
    "MAX_WEIGHT",
    "STACK",
    "STACK_POINTER",
    "UNKNOWN",
    "ZERO",
    "Expression",
    "Value",
    "add",
    "binary",
    "complement",
    "const",
    "floating",
    "image",
    "insert",
    "load",
    "negate",
    "offset_by",
    "select",
    "sign",
    "signed",
    "split",
    "subtract",
    "truncated",
    "weight",
    "zero",
]

_LOW_BITS = {0xFF: 1, 0xFFFF: 2, 0xFFFFFFFF: 4}
_COMMUTATIVE = frozenset(("*", "&", "|", "^", "==", "!="))
_OF_SAME = {"&": None, "|": None, "^": 0, "!=": 0, "s<": 0, "u<": 0, "==": 1, "s<=": 1, "u<=": 1}
"""What comes out where both operands are the same; None: that operand."""

_OPPOSITE = {"==": "!=", "!=": "=="}


_LOW_FROM_LOW = frozenset("+-*&|^")
"""Operators of whose result the lowest bytes come from the lowest bytes of the operands only."""


def truncated(size: int, e: Value) -> Value:
    """Returns an expression whose lowest `size` bytes are e's; the others are of no meaning."""
    if e is None:
        return None
    while e[0] in ("zero", "sign") and e[1] >= size:
        e = e[2]
    if e[0] == "insert" and size <= e[1]:
        return truncated(size, e[3])
    return None if is_partial(e) else e


def load(address: Value, size: int) -> Value:
    """Returns what lies at an address, zero-extended from 1, 2, 4 or 8 bytes."""
    if address is None or is_partial(address):
        return None
    return ("load", address, size)


def zero(size: int, e: Value) -> Value:
    """Returns the lowest `size` bytes (1, 2, 4; 8: e itself), zero-extended."""
    if e is None or size >= 8:
        return e
    if e[0] == "const":
        return ("const", e[1] & ((1 << 8 * size) - 1))
    if e[0] == "insert" and (size <= e[1] or e[2] is UNKNOWN):
        return zero(size, e[3]) if size <= e[1] else e
    return e if width(e) <= size else _zero_of_wider(size, e)


def _zero_of_wider(size: int, e: Expression) -> Value:
    kind = e[0]
    if kind == "zero" or (kind == "sign" and e[1] >= size):
        return zero(size, e[2])
    if kind == "load":
        return ("load", e[1], size)
    if kind == "|" and e[2][0] == "<<" and e[2][2][0] == "const" and e[2][2][1] >= 8 * size:
        return zero(size, e[1])
    return ("zero", size, _without_upper(size, e))


def _without_upper(size: int, e: Expression) -> Expression:
    """Drops extensions of operands that the lowest bytes of the result do not depend on."""
    if e[0] not in _LOW_FROM_LOW:
        return e
    a, b = truncated(size, e[1]), truncated(size, e[2])
    if a is None or b is None or (a is e[1] and b is e[2]):
        return e
    result = binary(e[0], a, b)
    return e if result is None else result


def sign(size: int, e: Value) -> Value:
    """Returns the lowest `size` bytes (1, 2, 4; 8: e itself), sign-extended."""
    if e is None or size >= 8:
        return e
    kind = e[0]
    if kind == "const":
        return const(signed(e[1], size))
    if kind == "insert" and (size <= e[1] or e[2] is UNKNOWN):
        return sign(size, e[3]) if size <= e[1] else e
    if width(e) < size or (kind == "sign" and e[1] <= size):
        return e
    if kind in ("zero", "sign") and e[1] >= size:
        return sign(size, e[2])
    return ("sign", size, ("load", e[1], size) if kind == "load" else e)


def insert(size: int, a: Value, b: Value) -> Value:
    """Returns a, its lowest `size` bytes (1, 2, 4; 8: all) replaced by b's; a may be unknown."""
    b = truncated(size, b)
    if b is None or size >= 8:
        return b
    if a is None:
        return ("insert", size, UNKNOWN, b)
    while a is not UNKNOWN and a[0] == "insert" and a[1] <= size:
        a = a[2]
    if a is UNKNOWN or is_partial(a):
        # Of a partly known one that reaches further, the bytes between get lost.
        return ("insert", size, UNKNOWN, b)
    if a == ZERO:
        return zero(size, b)
    if a[0] == b[0] == "const":
        low = (1 << 8 * size) - 1
        return ("const", a[1] & ~low | b[1] & low)
    return ("insert", size, a, b) if weight(a) + weight(b) < MAX_WEIGHT else None


def add(a: Value, b: Value) -> Value:
    """Returns a + b, constants outermost."""
    if a is None or b is None or is_partial(a) or is_partial(b):
        return None
    if b[0] == "const":
        return offset_by(a, b[1])
    if a[0] == "const":
        return offset_by(b, a[1])
    if not are_usable(a, b):
        return None
    distance = 0
    if a[0] == "+" and a[2][0] == "const":
        distance, a = a[2][1], a[1]
    if b[0] == "+" and b[2][0] == "const":
        distance, b = distance + b[2][1], b[1]
    return offset_by(("+", a, b), distance)


def subtract(a: Value, b: Value) -> Value:
    """Returns a - b."""
    if a is None or b is None or is_partial(a) or is_partial(b):
        return None
    if b[0] == "const":
        return offset_by(a, -b[1])
    if not are_usable(a, b):
        return None
    (base_a, distance_a), (base_b, distance_b) = split(a), split(b)
    if base_a == base_b:
        return const(distance_a - distance_b)
    if a == ZERO:
        return negate(b)
    return ("-", a, b)


def negate(e: Value) -> Value:
    """Returns -e."""
    if e is None or is_partial(e):
        return None
    if e[0] == "const":
        return const(-e[1])
    if e[0] == "neg":
        inner: Expression = e[1]
        return inner
    return ("neg", e) if weight(e) < MAX_WEIGHT else None


def complement(e: Value) -> Value:
    """Returns e with all bits turned."""
    if e is None or is_partial(e):
        return None
    if e[0] == "const":
        return const(~e[1])
    if e[0] == "not":
        inner: Expression = e[1]
        return inner
    return ("not", e) if weight(e) < MAX_WEIGHT else None


def binary(operator: str, a: Value, b: Value) -> Value:
    """Returns what a BINARY operator makes of two."""
    if operator == "+":
        return add(a, b)
    if operator == "-":
        return subtract(a, b)
    if a is None or b is None:
        # Whatever the other is, 0 comes out.
        return ZERO if operator in ("&", "*") and ZERO in (a, b) else None
    if not are_usable(a, b):
        return None
    if a[0] == "const" and operator in _COMMUTATIVE:
        a, b = b, a
    if b[0] != "const":
        return _of_two(operator, a, b)
    return _with_constant(operator, a, b) if a[0] != "const" else const(BINARY[operator](a[1], b[1]))


def _of_two(operator: str, a: Expression, b: Expression) -> Value:
    if a == b and operator in _OF_SAME:
        same = _OF_SAME[operator]
        return a if same is None else const(same)
    if operator in ("==", "!="):
        (base_a, distance_a), (base_b, distance_b) = split(a), split(b)
        if base_a == base_b:
            return const(BINARY[operator](distance_a, distance_b))
    return (operator, a, b)


def _with_constant(operator: str, a: Expression, b: Expression) -> Value:
    n: int = b[1]
    if operator in ("<<", ">>", "s>>"):
        return _shifted(operator, a, n & 63)
    if operator == "&":
        return _masked(a, n)
    if operator in ("==", "!=") and n == 0 and a[0] in COMPARISONS:
        return a if operator == "!=" else _opposite(a)
    if n == 0 and operator in ("|", "^"):
        return a
    if operator == "*" and n in (0, 1):
        return a if n else ZERO
    if operator == "^" and n == MASK:
        return complement(a)
    return (operator, a, b)


def _masked(a: Expression, mask: int) -> Value:
    if mask == 0:
        return ZERO
    if mask == MASK:
        return a
    if mask in _LOW_BITS:
        return zero(_LOW_BITS[mask], a)
    return ("&", a, ("const", mask))


def _opposite(a: Expression) -> Expression:
    operator = a[0]
    if operator in _OPPOSITE:
        return (_OPPOSITE[operator], a[1], a[2])
    return (operator[0] + ("<" if operator.endswith("=") else "<="), a[2], a[1])


def _shifted(operator: str, a: Expression, count: int) -> Value:
    if count == 0:
        return a
    if operator == ">>" and count >= 8 * width(a):
        return ZERO
    if operator != "<<" and a[0] == "<<" and a[2] == ("const", count) and count in (32, 48, 56):
        extend = zero if operator == ">>" else sign
        return extend((64 - count) // 8, a[1])
    if operator == ">>" and a[0] == "|" and 8 * width(a[1]) <= count:
        upper = a[2]
        if upper[0] == "<<" and upper[2] == ("const", count) and 8 * width(upper[1]) + count <= 64:
            inner: Expression = upper[1]
            return inner
    return (operator, a, ("const", count))


def select(condition: Value, a: Value, b: Value) -> Value:
    """Returns a where the condition is not 0, else b."""
    if a is not None and a == b:
        return a
    if condition is not None and condition[0] == "const":
        return a if condition[1] else b
    if not are_usable(condition, a, b):
        return None
    if a == ("const", 1) and b == ZERO and condition is not None and condition[0] in COMPARISONS:
        return condition
    return ("select", condition, a, b)


def floating(name: str, *operands: Value) -> Value:
    """Returns what a floating-point operation makes of one or two; float operands are the lowest 4 bytes."""
    return ("fp", name, *operands) if are_usable(*operands) else None
