"""Long lists in parts: databases bound the number of values in a statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

VALUES = 500
"""How many values to put into one statement; more gain nothing."""


def batches(values: Sequence[T], size: int = VALUES) -> Iterator[Sequence[T]]:
    """Yields the values in order, `size` at a time."""
    return (values[at : at + size] for at in range(0, len(values), size))
