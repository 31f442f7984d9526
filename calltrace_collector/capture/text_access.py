"""How to get from an object to its characters: char pointers, std::string and std::string_view.

Layouts: of libstdc++ (bits/basic_string.h, string_view) and libc++ (its ABI 1 and 2) on x86-64.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["TextAccess", "TextLayout"]


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
        by_address: the parameter's pieces hold the object's address (a reference, an invisible reference);
            else they hold the object itself, lowest byte first.
    """

    layout: TextLayout
    by_address: bool
