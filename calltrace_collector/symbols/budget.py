"""A limit on work, for input that could refer to the same bytes over and over."""

from __future__ import annotations


class Budget:
    """How many bytes of a section may be parsed, all in all.

    Sound debug information refers to each part of it about once, and a part that was parsed is kept.
    Damaged or hostile information can refer a million times to the same million bytes.

    Args:
        what: what is being parsed, for the message.
        size: the section's size in bytes.
    """

    def __init__(self, what: str, size: int) -> None:
        self._what = what
        self._left = 4 * size + 4096

    def check(self) -> None:
        """Raises ValueError when the budget is overdrawn; to be called before parsing."""
        if self._left < 0:
            raise ValueError(f"{self._what} is referred to far more often than can be")

    def spend(self, size: int) -> None:
        """Takes off the bytes that were parsed."""
        self._left -= size
