"""A type that was read from the debug information: how it is shown, and how it is passed."""

from __future__ import annotations

from dataclasses import dataclass

from calltrace_collector.capture.signature.abi import Leaf, LeafClass, Shape
from calltrace_collector.capture.signature.text_access import TextLayout
from calltrace_collector.model.capture import Type, TypeKind
from calltrace_collector.symbols.forms import UNIT_REFERENCES, At
from calltrace_collector.symbols.unit import Entry

__all__ = ["MAX_BYTES", "Typed", "scalar", "size_of", "unknown"]

MAX_BYTES = 1 << 40
"""What claims to be larger is damaged."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A type.

    Attributes:
        type: as far as it takes to show a value of it.
        shape: as far as it takes to find one.
        text: its layout if it has characters: a char pointer, std::string or std::string_view.
        is_null: it is std::nullptr_t, which nobody needs to pass.
        referred: of a reference, that of what it refers to.
    """

    type: Type
    shape: Shape
    text: TextLayout | None = None
    referred: TextLayout | None = None
    is_null: bool = False


def scalar(size: int, kind: LeafClass) -> Shape:
    """Returns the shape of a value that is one scalar, aligned to its size."""
    return Shape(size, size, (Leaf(0, size, size, kind),))


def unknown(name: str, reason: str) -> Typed:
    """Returns a type that nothing can be done with."""
    return Typed(Type(TypeKind.OTHER, name), Shape(0, 1, (), doubt=reason))


def size_of(entry: Entry) -> int:
    """Returns the entry's size in bytes; 0 if it does not say, or no size can be so large."""
    value = entry.get(At.BYTE_SIZE)
    if value is None or not isinstance(value.raw, int) or value.form in UNIT_REFERENCES:
        return 0
    return value.raw if 0 <= value.raw <= MAX_BYTES else 0
