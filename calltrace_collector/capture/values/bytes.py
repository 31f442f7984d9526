"""Bytes of a known type as contents."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from decimal import Context, Decimal

from calltrace_collector.capture.values.content import (
    Address,
    Characters,
    Content,
    Elements,
    Letter,
    Members,
    Missing,
    Named,
)
from calltrace_collector.model.capture import Field, Type, TypeKind

__all__ = ["decode_bytes"]

_MAX_PARTS = 4096
_MAX_DEPTH = 80
_X87_BYTES = 10
_X87_BIAS = 16383 + 63  # the significand is an integer of 64 bits
_X87 = Context(prec=21)  # decimal digits that tell any two long doubles apart
_CUT_OFF = "it lies behind what is captured of a value"


def decode_bytes(kind: Type, content: bytes, symbol_of: Callable[[int], str | None]) -> Content:
    """Decodes a value.

    Args:
        kind: its type; may be anything, also one that no compiler makes.
        content: its bytes; where they are fewer than the type's, what lies behind them is missing.
        symbol_of: names function pointers.

    Returns:
        The value. Never raises.
    """
    return _Decoder(content, symbol_of).value(kind, 0, 0)


class _Decoder:
    """Decodes the parts of one value, of which there may be only so many."""

    def __init__(self, content: bytes, symbol_of: Callable[[int], str | None]) -> None:
        self._content = content
        self._symbol_of = symbol_of
        self._left = _MAX_PARTS

    def value(self, kind: Type, offset: int, depth: int) -> Content:
        """Decodes the part of that type at `offset`."""
        self._left -= 1
        if self._left < 0 or depth > _MAX_DEPTH:
            return Missing("the value has too many parts")
        if kind.kind in (TypeKind.STRUCT, TypeKind.UNION):
            return self._members(kind, offset, depth)
        if kind.kind is TypeKind.ARRAY:
            return self._array(kind, offset, depth)
        if kind.kind is TypeKind.STRING:
            return Missing("its characters are not captured here")
        if kind.size <= 0 or offset < 0 or offset + kind.size > len(self._content):
            return Missing(_CUT_OFF if kind.size > 0 else f"{kind.name} has no value that can be shown")
        return self._scalar(kind, self._content[offset : offset + kind.size])

    def _scalar(self, kind: Type, content: bytes) -> Content:
        number = int.from_bytes(content, "little", signed=kind.signed)
        match kind.kind:
            case TypeKind.INTEGER:
                return number
            case TypeKind.BOOLEAN:
                return bool(number) if number in (0, 1) else number
            case TypeKind.CHARACTER:
                return Letter(int.from_bytes(content, "little"), kind.size == 1)
            case TypeKind.ENUM:
                return _enum(kind, number)
            case TypeKind.FLOAT:
                return _floating(content)
            case TypeKind.POINTER | TypeKind.REFERENCE:
                address = int.from_bytes(content, "little")
                is_function = kind.target is not None and kind.target.kind is TypeKind.FUNCTION
                return Address(address, self._symbol_of(address) if is_function and address else None)
        return Missing(f"{kind.name} has no value that can be shown")

    def _members(self, kind: Type, offset: int, depth: int) -> Content:
        found: dict[str, Content] = {}
        for field in kind.fields:
            content = self._field(field, offset, depth)
            # Members of a struct without a name are named as if they were the outer one's.
            if not field.name and isinstance(content, Members):
                for name, part in content.members:
                    found[_different(name, found)] = part
            else:
                found[_different(field.name, found)] = content
            if self._left < 0:
                break
        return Members(tuple(found.items()))

    def _field(self, field: Field, offset: int, depth: int) -> Content:
        if not field.bit_size:
            return self.value(field.type, offset + field.offset, depth + 1)
        self._left -= 1
        start = offset + field.offset
        end = start + (field.bit_offset + field.bit_size + 7) // 8
        if field.bit_offset < 0 or not 0 < field.bit_size <= 128 or start < 0 or end > len(self._content):
            return Missing(_CUT_OFF)
        bits = int.from_bytes(self._content[start:end], "little") >> field.bit_offset
        bits &= (1 << field.bit_size) - 1
        if field.type.signed and bits >> field.bit_size - 1:
            bits -= 1 << field.bit_size
        if not 0 < field.type.size <= 16:
            return Missing(f"{field.type.name} has no value that can be shown")
        mask = (1 << 8 * field.type.size) - 1
        return self._scalar(field.type, (bits & mask).to_bytes(field.type.size, "little"))

    def _array(self, kind: Type, offset: int, depth: int) -> Content:
        element = kind.target
        if element is None or element.size <= 0 or kind.count < 0:
            return Missing(f"{kind.name} has no value that can be shown") if kind.count else Elements(())
        if element.kind is TypeKind.CHARACTER and element.size == 1 and offset >= 0:
            content = self._content[offset : offset + kind.count]
            if len(content) == kind.count:
                text, _, rest = content.partition(b"\0")
                return Characters(content if rest.strip(b"\0") else text)
        parts: list[Content] = []
        for index in range(min(kind.count, _MAX_PARTS)):
            part = self.value(element, offset + index * element.size, depth + 1)
            parts.append(part)
            if self._left < 0 or (isinstance(part, Missing) and part.reason == _CUT_OFF):
                break
        return Elements(tuple(parts))


def _different(name: str, names: dict[str, Content]) -> str:
    """Returns the name, with a number behind it if there is one such already."""
    found, number = name, 2
    while found in names:
        found, number = f"{name}#{number}", number + 1
    return found


def _enum(kind: Type, number: int) -> Content:
    for enumerator in kind.enumerators:
        if enumerator.value == number:
            return Named(enumerator.name)
    if not kind.flags or number <= 0:
        return number
    names: list[str] = []
    for enumerator in kind.enumerators:
        if enumerator.value > 0 and number & enumerator.value == enumerator.value:
            names.append(enumerator.name)
            number &= ~enumerator.value
    if not names:
        return number
    return Named("|".join([*names, f"{number:#x}"] if number else names))


def _floating(content: bytes) -> Content:
    if len(content) == 4:
        return _shortest(struct.unpack("<f", content)[0])
    if len(content) == 8:
        return float(struct.unpack("<d", content)[0])
    if len(content) < _X87_BYTES:
        return Missing("a number of an unknown format")
    return _extended(content[:_X87_BYTES])


def _shortest(number: float) -> float:
    """Returns the double of the fewest digits that is rounded to this float."""
    if math.isfinite(number):
        for digits in range(6, 10):
            found = float(f"{number:.{digits}g}")
            try:
                if struct.pack("<f", found) == struct.pack("<f", number):
                    return found
            except OverflowError:  # rounded to beyond the largest float
                continue
    return number


def _extended(content: bytes) -> Content:
    """Decodes the x87's 80 bits: a sign, 15 bits of exponent and a significand with its leading 1."""
    significand = int.from_bytes(content[:8], "little")
    exponent = int.from_bytes(content[8:], "little")
    sign = -1 if exponent & 0x8000 else 1
    exponent &= 0x7FFF
    if exponent == 0x7FFF:
        return sign * math.inf if significand << 1 & (1 << 64) - 1 == 0 else math.nan
    if exponent and not significand >> 63:
        return math.nan  # an encoding that the processor refuses
    scale = max(exponent, 1) - _X87_BIAS
    try:
        nearest = math.ldexp(significand, scale)
        if _is_exact(nearest, significand, scale):
            return math.copysign(nearest, sign)
    except OverflowError:
        pass
    return _X87.multiply(Decimal(sign * significand), _power_of_two(scale))


def _is_exact(number: float, significand: int, scale: int) -> bool:
    """Tells whether the float is the significand times a power of two."""
    numerator, denominator = number.as_integer_ratio()
    wanted = significand << scale if scale >= 0 else significand
    return numerator << (-scale if scale < 0 else 0) == wanted * denominator


def _power_of_two(exponent: int) -> Decimal:
    """Returns a power of two to more digits than matter."""
    return Context(prec=40).power(Decimal(2), exponent)
