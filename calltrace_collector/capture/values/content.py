"""What a value is made of, once its bytes are decoded: nothing here needs a type to be shown."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

__all__ = ["Address", "Characters", "Content", "Elements", "Letter", "Members", "Missing", "Named"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a pointer leads to.

    Attributes:
        number: the address; 0 is NULL.
        symbol: the function there, if it is a function's and known.
    """

    number: int
    symbol: str | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """An enum's value: its name, or names that are or-ed."""

    name: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A character.

    Attributes:
        code: its number as the program has it, not negative.
        is_byte: it is one byte of text, of which those above 127 mean nothing alone.
    """

    code: int
    is_byte: bool


@dataclass(frozen=True, slots=True)
class Characters:
    """Text.

    Attributes:
        content: its bytes, without the zero behind them.
        is_cut: more followed, which was not captured.
    """

    content: bytes
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Members:
    """What a struct or union is made of: names, which are different, and contents."""

    members: tuple[tuple[str, Content], ...]


@dataclass(frozen=True, slots=True)
class Elements:
    """What an array is made of."""

    elements: tuple[Content, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """A part that is not known, and why."""

    reason: str


Content = bool | int | float | Decimal | Address | Named | Letter | Characters | Members | Elements | Missing
"""A value; a Decimal is a long double that no float is equal to."""
