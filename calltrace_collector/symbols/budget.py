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

    def spend(self, size: int) -> None:
        """Takes the bytes off; raises ValueError when there are not that many left."""
        self._left -= size
        if self._left < 0:
            raise ValueError(f"{self._what} is referred to far more often than can be")
