"""Times, durations and counts as text."""

import re
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltrace_collector.report.units import (
    DURATION_WIDTH,
    aligned_duration,
    count,
    counted,
    duration,
    moment,
    printable,
    rfc3339,
)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1000, "1.000 us"),
        (1999, "1.999 us"),
        (999_999, "999.999 us"),
        (1_000_000, "1.000 ms"),
        (999_999_999, "999.999 ms"),
        (1_000_000_000, "1.000 s"),
        (83_125_999_999, "83.125 s"),
        (7_200_000_000_000, "7200.000 s"),
    ],
)
def test_durations(ns: int, text: str) -> None:
    assert duration(ns) == text


@given(st.integers(0, 10**12 - 1))
def test_durations_in_a_column(ns: int) -> None:
    text = aligned_duration(ns)
    assert len(text) == DURATION_WIDTH
    assert re.fullmatch(r" *\d+(\.\d{3})? ([num]s|s )", text)


@given(st.integers(0, 2**63 - 1))
def test_times_are_exact(ns: int) -> None:
    text = rfc3339(ns)
    whole, fraction = text.removesuffix("Z").split(".")
    passed = datetime.fromisoformat(f"{whole}+00:00") - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    assert passed // timedelta(seconds=1) * 10**9 + int(fraction) == ns
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", text)


def test_times_for_people() -> None:
    assert moment(1_700_000_000_999_999_999) == "2023-11-14 22:13:20"


def test_counts() -> None:
    assert count(1_234_567) == "1,234,567"
    assert [counted(number, "call") for number in (0, 1, 2000)] == ["0 calls", "1 call", "2,000 calls"]


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    assert printable("f(int)") == "f(int)"
    assert printable("naïve λ") == "naïve λ"
    assert printable("a\x1b[31mb\nc\u202ed\x9b") == "a?[31mb?c?d?"
