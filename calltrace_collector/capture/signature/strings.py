"""Which classes are std::string and std::string_view, and how they are laid out.

Sources: libstdc++'s bits/basic_string.h and string_view; libc++'s string and string_view.
"""

from __future__ import annotations

from collections.abc import Sequence

from calltrace_collector.capture.signature.text_access import TextLayout
from calltrace_collector.model.capture import Field
from calltrace_collector.symbols.forms import At, Tag
from calltrace_collector.symbols.scopes import scope_of
from calltrace_collector.symbols.unit import Unit

__all__ = ["STRING_BYTES", "is_declared_string", "string_layout"]

STRING_BYTES = 32
"""Size of libstdc++'s std::string, of the ABI that it has had since gcc 5."""

_STRINGS = ("std::string", "std::u8string")
_VIEWS = ("std::string_view", "std::u8string_view")
_SCOPE = "std::__cxx11::"
_LIBCXX_BYTES = 24


def is_declared_string(unit: Unit, position: int, name: str) -> bool:
    """Tells whether a class that is only declared is libstdc++'s std::string, whose layout is known.

    Raises:
        IndexError, KeyError, ValueError, SymbolError: the unit is damaged, or too large to be searched.
    """
    return name in _STRINGS and scope_of(unit, position) == _SCOPE


def string_layout(
    unit: Unit, position: int, name: str, size: int, fields: Sequence[Field]
) -> TextLayout | None:
    """Returns the layout of a class if it is a string or a string view; None if not, or not a known one.

    Args:
        unit: of the class.
        position: of the class's entry.
        name: of the class.
        size: of an object in bytes.
        fields: its members.

    Raises:
        IndexError, KeyError, ValueError, SymbolError: the entries are damaged.
    """
    places = {field.name: (field.offset, field.type.size) for field in fields}
    if name in _VIEWS and size == 16:
        if places == {"_M_len": (0, 8), "_M_str": (8, 8)}:
            return TextLayout.LENGTH_POINTER
        if places in ({"__data_": (0, 8), "__size_": (8, 8)}, {"__data": (0, 8), "__size": (8, 8)}):
            return TextLayout.POINTER_LENGTH
    if name in _STRINGS and size == STRING_BYTES:
        # The class of the pointer may be declared only.
        pointer = places.get("_M_dataplus", (-1, 0))[0]
        length = places.get("_M_string_length")
        return TextLayout.POINTER_LENGTH if (pointer, length) == (0, (8, 8)) else None
    if name in _STRINGS and size == _LIBCXX_BYTES:
        return _libcxx_layout(unit, position)
    return None


def _libcxx_layout(unit: Unit, position: int) -> TextLayout | None:
    """Looks how a long string is laid out, of which there are two ways."""
    for tag, child in unit.children(position):
        if tag == Tag.STRUCTURE_TYPE and unit.text(unit.entry(child).get(At.NAME)) == "__long":
            members = {
                unit.text(entry.get(At.NAME)): entry[At.DATA_MEMBER_LOCATION].raw
                for entry in (unit.entry(one) for kind, one in unit.children(child) if kind == Tag.MEMBER)
                if At.DATA_MEMBER_LOCATION in entry
            }
            if members.get("__size_") != 8:
                return None
            at = members.get("__data_")
            return TextLayout.LIBCXX if at == 16 else TextLayout.LIBCXX_ALTERNATE if at == 0 else None
    return None
