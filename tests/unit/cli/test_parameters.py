"""Durations and times as users write them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltrace_collector.cli.parameters import parse_duration, parse_moment
from calltrace_collector.report.units import duration, rfc3339

NOW = 1_800_000_000_000_000_000
NOON = int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0ns", 0),
        ("250ns", 250),
        ("1us", 1000),
        ("1\N{MICRO SIGN}s", 1000),
        ("1\N{GREEK SMALL LETTER MU}s", 1000),
        ("1.5ms", 1_500_000),
        ("1.5 ms", 1_500_000),
        (".5s", 500_000_000),
        ("2.s", 2_000_000_000),
        ("3m", 180_000_000_000),
        ("3min", 180_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1d", 86_400_000_000_000),
        ("0.1ns", 1),
        ("9223372036854775807ns", 2**63 - 1),
        (" 1s ", 10**9),
    ],
)
def test_durations(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "5",
        "ms",
        "-1s",
        "1.2.3s",
        "1 s 5",
        "1S",
        "1e3s",
        "\N{ARABIC-INDIC DIGIT ONE}s",
        "5 parsecs",
        "1s!",
        "9223372036854775808ns",
    ],
)
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(not a duration|no unit|too long)"):
        parse_duration(text)


@given(st.integers(0, 10**15))
def test_what_is_printed_can_be_given(ns: int) -> None:
    assert ns - 10**6 < parse_duration(duration(ns)) <= ns


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31t12:00:00z", NOON),
        ("2026-01-31 12:00", NOON),
        ("2026-01-31T12:00:00", NOON),
        ("2026-01-31T12:00:00.000000001Z", NOON + 1),
        ("2026-01-31T12:00:00,5Z", NOON + 500_000_000),
        ("2026-01-31T14:30:00+02:30", NOON),
        ("2026-01-31T14:30:00+0230", NOON),
        ("2026-01-31", NOON - 12 * 3600 * 10**9),
        ("1970-01-01", 0),
        ("1960-01-01", 0),
        ("1795415905468350326", 1_795_415_905_468_350_326),
        ("5m", NOW - 300 * 10**9),
        ("1h30m", NOW - 5400 * 10**9),
        ("250d", NOW - 250 * 86_400 * 10**9),
        ("100000d", 0),
    ],
)
def test_times(text: str, ns: int) -> None:
    assert parse_moment(text, NOW) == ns


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "5", "12:00", "2026-01-31T", "2026-13-01", "2026-01-31T25:00:00Z", "2026-1-1", "-5m"),
        *(
            "2026-01-31T12:00:00.1234567890Z",
            "9999-12-31",
            "99999999999999999999",
            "\N{ARABIC-INDIC DIGIT TWO}026-01-31",
        ),
    ],
)
def test_no_times(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 some of the messages are datetime's
        parse_moment(text, NOW)


@given(st.integers(0, 2**63 - 1))
def test_what_reports_say_can_be_given(ns: int) -> None:
    assert parse_moment(rfc3339(ns), NOW) == ns
