"""Durations and times as users write them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from decimal import Decimal

import click

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
# The micro sign and the Greek letter, which look alike.
_MICRO = str.maketrans({"\N{MICRO SIGN}": "u", "\N{GREEK SMALL LETTER MU}": "u"})
_PART = re.compile(r"(\d+\.?\d*|\.\d+)\s*([a-z]+)\s*", re.ASCII)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?\s*([Zz]|[+-]\d\d:?\d\d)?)?", re.ASCII
)
_LONGEST_NS = (1 << 63) - 1
_NS_PER_S = 1_000_000_000


def parse_duration(text: str) -> int:
    """Returns a duration in nanoseconds: 250ns, 1.5ms, 2s, 1m30s.

    Raises:
        ValueError: it is none, or longer than 292 years; the message says what to write.
    """
    plain = text.strip().translate(_MICRO)
    duration_ns, at = Decimal(0), 0
    while part := _PART.match(plain, at):
        number, unit = part.groups()
        if unit not in _UNITS_NS:
            raise ValueError(f"no unit {unit!r}: write 250ns, 10us, 1.5ms, 2s, 3m, 1h or 1d")
        duration_ns += Decimal(number) * _UNITS_NS[unit]
        at = part.end()
    if at < len(plain) or not plain:
        raise ValueError(
            "not a duration: write a number and its unit, as 250ns, 10us, 1.5ms, 2s, 3m, 1h or 1d"
        )
    if duration_ns > _LONGEST_NS:
        raise ValueError("too long: at most 292 years")
    return int(duration_ns.to_integral_value(rounding="ROUND_CEILING"))


def parse_moment(text: str, now_ns: int) -> int:
    """Returns a time as nanoseconds since the epoch.

    Args:
        text: a time as RFC 3339 has it, or without the time of day, or without the zone (then UTC); or
            nanoseconds since the epoch; or how long ago it was, as parse_duration has it.
        now_ns: what it was ago from.

    Raises:
        ValueError: it is none of these; the message says what to write.
    """
    plain = text.strip()
    if plain.isascii() and plain.isdigit() and len(plain) > 12:
        unix_ns = int(plain)
    elif found := _TIME.fullmatch(plain):
        unix_ns = _from_calendar(*found.groups())
    else:
        try:
            unix_ns = max(0, now_ns - parse_duration(plain))
        except ValueError:
            raise ValueError(
                "not a time: write 2026-01-31T12:00:00Z, or 5m for five minutes ago (ns, us, ms, s, m, h, d)"
            ) from None
    if unix_ns > _LONGEST_NS:
        raise ValueError("too late: before the year 2262")
    return unix_ns


def _from_calendar(date: str, time_of_day: str | None, fraction: str | None, zone: str | None) -> int:
    zone = "+00:00" if zone is None or zone in "Zz" else zone
    at = datetime.fromisoformat(f"{date}T{time_of_day or '00:00'}{zone}").astimezone(UTC)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    seconds = (at - epoch).days * 86_400 + (at - epoch).seconds
    return max(0, seconds * _NS_PER_S + int((fraction or "0").ljust(9, "0")))


def duration(text: str) -> int:
    """The type of options that take a duration."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error}") from error


def moment(text: str) -> int:
    """The type of options that take a time."""
    try:
        return parse_moment(text, time.time_ns())
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{text!r}: {error}") from error
