"""How to get from an object to its characters: char pointers, std::string and std::string_view.

Layouts: of libstdc++ (bits/basic_string.h, string_view) and libc++ (its ABI 1 and 2) on x86-64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from calltrace_collector.capture.machine import expression
from calltrace_collector.capture.machine.expression import Expression, Value

__all__ = ["TextAccess", "TextLayout", "locate"]


class TextLayout(StrEnum):
    """How the object is laid out."""

    POINTER = "pointer"  # to characters that a zero ends
    POINTER_LENGTH = "pointer, length"  # libstdc++'s string; libc++'s string_view
    LENGTH_POINTER = "length, pointer"  # libstdc++'s string_view
    LIBCXX = "libc++'s string"
    LIBCXX_ALTERNATE = "libc++'s string, ABI 2"


@dataclass(frozen=True, slots=True)
class TextAccess:
    """How text is found.

    Attributes:
        layout: of the object that has the characters.
        by_address: the pieces hold the object's address (it is a reference, or passed by one, or in
            memory); else they hold the object itself, lowest byte first.
    """

    layout: TextLayout
    by_address: bool


def locate(
    layout: TextLayout, address: Value, read: Callable[[int, int], Value]
) -> tuple[Expression, Expression | None] | None:
    """Returns where an object's characters are, and how many: None if a zero byte ends them.

    Args:
        layout: of the object.
        address: of the object, for those that have the characters in themselves; None if it is not in
            memory.
        read: gives `size` bytes at an offset of the object, zero-extended; None where they are not known.

    Returns:
        None where something is not known that it takes.
    """
    pointer: Value
    length: Value
    if layout is TextLayout.POINTER:
        pointer = read(0, 8)
        return None if pointer is None else (pointer, None)
    if layout is TextLayout.POINTER_LENGTH:
        pointer, length = read(0, 8), read(8, 8)
    elif layout is TextLayout.LENGTH_POINTER:
        length, pointer = read(0, 8), read(8, 8)
    else:
        pointer, length = _libcxx(layout, address, read)
    return None if pointer is None or length is None else (pointer, length)


def _libcxx(layout: TextLayout, address: Value, read: Callable[[int, int], Value]) -> tuple[Value, Value]:
    """A bit says whether the characters are elsewhere or, if they are few, within the object."""
    is_alternate = layout is TextLayout.LIBCXX_ALTERNATE
    tag, size = read(23 if is_alternate else 0, 1), read(8, 8)
    data = read(0 if is_alternate else 16, 8)
    if address is None or tag is None or size is None or data is None:
        return None, None
    if is_alternate:  # the highest bit, above the size
        is_long = expression.binary("&", tag, expression.const(0x80))
        short_size = expression.binary("&", tag, expression.const(0x7F))
        inside: Value = address
    else:  # the lowest bit, below the size
        is_long = expression.binary("&", tag, expression.const(1))
        short_size = expression.binary(">>", tag, expression.const(1))
        inside = expression.add(address, expression.const(1))
    return expression.select(is_long, data, inside), expression.select(is_long, size, short_size)
