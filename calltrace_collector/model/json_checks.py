"""What JSON that is not trusted must hold: each returns the value, or raises ValueError or TypeError."""

from __future__ import annotations

from typing import Any

__all__ = ["as_count", "as_number", "as_text", "below"]


def below(value: Any, limit: int) -> int:
    """A whole number from 0 on that is less than the limit."""
    if type(value) is not int or not 0 <= value < limit:
        raise ValueError(f"{value!r} is no number below {limit}")
    return value


def as_count(value: Any) -> int:
    """A whole number from 0 on."""
    if as_number(value) < 0:
        raise ValueError(f"{value} is negative")
    return int(value)


def as_number(value: Any) -> int:
    """A whole number."""
    if type(value) is not int:
        raise TypeError(f"{value!r} is no number")
    return value


def as_text(value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
