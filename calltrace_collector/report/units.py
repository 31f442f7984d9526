"""Times, durations, counts and names as people and programs read them."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"))
_NS_PER_S = 1_000_000_000


def rfc3339(unix_ns: int) -> str:
    """Returns a time as RFC 3339 has it, in UTC, with nanoseconds: 2026-01-31T12:00:00.123456789Z."""
    seconds, ns = divmod(unix_ns, _NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ns:09}Z"


def moment(unix_ns: int) -> str:
    """Returns a time for a person, in UTC, to the second: 2026-01-31 12:00:00."""
    return f"{datetime.fromtimestamp(unix_ns // _NS_PER_S, UTC):%Y-%m-%d %H:%M:%S}"


def duration(ns: int) -> str:
    """Returns a duration with a unit that suits it: 17 ns, 1.234 us, 12.345 ms, 83.125 s."""
    for size, unit in _UNITS:
        if ns >= size:
            # Cut off, not rounded: 999.9999 ms is not 1000.000 ms.
            return f"{ns // size}.{ns % size * 1000 // size:03} {unit}"
    return f"{ns} ns"


DURATION_WIDTH = 10
"""Of aligned_duration, for durations of less than 1000 s."""


def aligned_duration(ns: int) -> str:
    """Returns a duration so that, in a column, the units stand below each other."""
    number, _, unit = duration(ns).partition(" ")
    return f"{number:>7} {unit:2}"


def count(number: int) -> str:
    """Returns a number with commas: 1,234,567."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """Returns a number and what it counts: 1 call, 2,000 calls."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """Returns a text on one line: what a terminal would obey, or not show, is replaced by a question mark.

    Names come from the traced program, which may mean no good.
    """
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)
