"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import BigInteger, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator

_MASK = (1 << 64) - 1
_SIGN = 1 << 63

BigKey = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit primary key that the database counts up; SQLite does so only for the type INTEGER."""


def signed(value: int) -> int:
    """The 64-bit two's complement of an unsigned number, as it stands in the database."""
    value &= _MASK
    return value - (1 << 64) if value & _SIGN else value


class U64(TypeDecorator[int]):
    """An unsigned 64-bit number: an address, clock ticks, a count.

    Neither database has such a type, so it is stored as its two's complement. The database's order is
    that of the numbers as long as they are below 2**63, which clock ticks and user-space addresses are.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002 the base's
        """Python to database."""
        return None if value is None else signed(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002 the base's
        """Database to Python."""
        return None if value is None else value & _MASK


def clean(text: str) -> str:
    """Returns a text as CleanText stores it."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


class CleanText(TypeDecorator[str]):
    r"""Text from outside that both databases take: NUL and lone surrogates are spelled as \x00, \udc80."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 the base's
        """Python to database."""
        return None if value is None else clean(value)
