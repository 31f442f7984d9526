import warnings

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from calltrace_collector.model.clock import Clock
from calltrace_collector.model.process import ClockReading

REAL = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
UPTIME_TICKS = 40 * 86_400 * 3_000_000_000  # of a machine that has been up for 40 days

ticks = st.integers(0, 1 << 53)
reading = st.builds(
    ClockReading, ticks=ticks, monotonic_ns=st.integers(0, 1 << 53), realtime_ns=st.integers(0, 1 << 62)
)
clocks = st.builds(
    lambda readings, ticks_are_ns: Clock(readings, ticks_are_ns=ticks_are_ns),
    st.lists(reading, max_size=6),
    st.booleans(),
)


def at(seconds: float, *, per_second: int = 3 * SECOND, real_step_ns: int = 0) -> ClockReading:
    """A reading some time after the machine's 40 days, of a clock with so many ticks per second."""
    ns = int(seconds * SECOND)
    started_ns = 40 * 86_400 * SECOND
    return ClockReading(UPTIME_TICKS + ns * per_second // SECOND, started_ns + ns, REAL + ns + real_step_ns)


def array(*values: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(values, np.uint64)


def test_between_two_readings() -> None:
    clock = Clock([at(0), at(2)], ticks_are_ns=False)
    assert clock.rate_is_known
    # Three ticks a nanosecond, rounded down; float64 has no more than every 2nd of these ticks.
    assert [clock.unix_ns(UPTIME_TICKS + n) for n in (0, 1, 2, 3, 5, 6)] == [
        REAL + n for n in (0, 0, 0, 1, 1, 2)
    ]
    assert clock.unix_ns(UPTIME_TICKS + 3 * SECOND) == REAL + SECOND


def test_before_the_first_and_behind_the_last_as_beside_them() -> None:
    slow, fast = at(10, per_second=2 * SECOND), ClockReading(UPTIME_TICKS + 60 * SECOND, 0, 0)
    fast = ClockReading(fast.ticks, slow.monotonic_ns + 10 * SECOND, 0)
    clock = Clock([at(0), slow, fast], ticks_are_ns=False)
    # 2 ticks a nanosecond for 10 s, then 4.
    assert clock.unix_ns(UPTIME_TICKS - 2 * SECOND) == REAL - SECOND
    assert clock.unix_ns(UPTIME_TICKS + 20 * SECOND) == REAL + 10 * SECOND
    assert clock.unix_ns(UPTIME_TICKS + 40 * SECOND) == REAL + 15 * SECOND
    assert clock.unix_ns(UPTIME_TICKS + 100 * SECOND) == REAL + 30 * SECOND
    # 60 ticks in 20 ns all in all.
    assert clock.duration_ns(3 * SECOND) == SECOND


def test_order_of_readings_does_not_matter() -> None:
    forward, backward = (
        Clock([at(0), at(3), at(9)], ticks_are_ns=False),
        Clock([at(9), at(0), at(3)], ticks_are_ns=False),
    )
    moments = [UPTIME_TICKS + n * 7_777_777_777 for n in range(-2, 9)]
    assert [forward.unix_ns(moment) for moment in moments] == [backward.unix_ns(moment) for moment in moments]


def test_setting_the_wall_clock_tears_nothing() -> None:
    clock = Clock([at(0), at(5, real_step_ns=-3600 * SECOND), at(10)], ticks_are_ns=False)
    assert [clock.unix_ns(UPTIME_TICKS + 3 * n * SECOND) for n in range(11)] == [
        REAL + n * SECOND for n in range(11)
    ]


def test_ticks_that_are_nanoseconds() -> None:
    readings = [ClockReading(500, 500, REAL), ClockReading(700, 700, REAL + 999)]
    for clock in (Clock(readings, ticks_are_ns=True), Clock(readings[:1], ticks_are_ns=True)):
        assert clock.rate_is_known
        assert clock.unix_ns(800) == REAL + 300
        assert clock.duration_ns(12) == 12
        assert clock.ticks_at(REAL + 300) == 800
        assert clock.ticks_in(12) == 12


def test_one_reading_does_not_tell_the_rate() -> None:
    clock = Clock([at(0)], ticks_are_ns=False)
    assert not clock.rate_is_known
    assert clock.unix_ns(UPTIME_TICKS + 30) == REAL + 30
    assert clock.duration_ns(30) == 30


def test_one_reading_and_the_rate_by_others() -> None:
    others = [at(-4000), at(-3000)]
    clock = Clock([at(0)], ticks_are_ns=False, rate_readings=others)
    assert clock.rate_is_known
    assert clock.unix_ns(UPTIME_TICKS + 30) == REAL + 10
    assert clock.duration_ns(30) == 10
    assert list(clock.unix_ns(array(UPTIME_TICKS - 3, UPTIME_TICKS + 30))) == [REAL - 1, REAL + 10]


def test_others_do_not_matter_where_two_readings_tell() -> None:
    others = [at(0), at(10, per_second=SECOND)]
    clock = Clock([at(0), at(1)], ticks_are_ns=False, rate_readings=others)
    assert clock.duration_ns(30) == 10


def test_no_reading_at_all() -> None:
    clock = Clock([], ticks_are_ns=False)
    assert not clock.rate_is_known
    assert clock.unix_ns(30) == 30
    assert list(clock.unix_ns(array(30))) == [30]


def test_jitter_of_readings_close_together_is_not_taken_for_a_rate() -> None:
    late = ClockReading(at(0.001).ticks, at(0.001).monotonic_ns + 200_000, 0)
    clock = Clock([at(0), late, at(5)], ticks_are_ns=False)
    assert clock.unix_ns(at(3).ticks) == REAL + 3 * SECOND


def test_short_runs_use_what_there_is() -> None:
    clock = Clock([at(0), at(0.001), at(0.002)], ticks_are_ns=False)
    assert clock.rate_is_known
    assert clock.unix_ns(at(0.002).ticks) == REAL + 2_000_000


def test_the_last_reading_counts_however_close() -> None:
    end = ClockReading(UPTIME_TICKS + 30 * SECOND, at(5.5).monotonic_ns, 0)
    clock = Clock([at(0), at(5), end], ticks_are_ns=False)
    assert clock.unix_ns(end.ticks) == REAL + 5_500_000_000


@pytest.mark.parametrize(
    "wrong",
    [
        ClockReading(UPTIME_TICKS + 9, at(0).monotonic_ns - 1, 0),
        ClockReading(UPTIME_TICKS + 9, at(0).monotonic_ns, 0),
        ClockReading(UPTIME_TICKS, at(9).monotonic_ns, 0),
        ClockReading(1 << 63, at(9).monotonic_ns, 0),
        ClockReading(UPTIME_TICKS + 9, (1 << 64) - 1, 0),
    ],
)
def test_readings_that_cannot_be_are_left_out(wrong: ClockReading) -> None:
    clock = Clock([at(0), wrong, at(3)], ticks_are_ns=False)
    assert clock.unix_ns(UPTIME_TICKS + 30) == REAL + 10


@given(clocks, st.lists(ticks, min_size=1))
@example(Clock([at(0), at(4000)], ticks_are_ns=False), [UPTIME_TICKS + n for n in range(-5, 5)])
def test_arrays_give_what_numbers_give(clock: Clock, moments: list[int]) -> None:
    expected = [clock.unix_ns(moment) for moment in moments]
    if max(map(abs, expected)) < 1 << 62:
        assert list(clock.unix_ns(array(*moments))) == expected
    expected = [clock.duration_ns(moment) for moment in moments]
    if max(expected) < 1 << 62:
        assert list(clock.duration_ns(array(*moments))) == expected


@given(clocks, ticks, ticks)
def test_time_never_goes_back(clock: Clock, one: int, other: int) -> None:
    assert clock.unix_ns(min(one, other)) <= clock.unix_ns(max(one, other))


@given(clocks, st.integers(0, 1 << 62), ticks)
def test_moment_of_a_time(clock: Clock, unix_ns: int, moment: int) -> None:
    found = clock.ticks_at(unix_ns)
    assert clock.unix_ns(found) >= unix_ns
    assert found == 0 or clock.unix_ns(found - 1) < unix_ns
    assert clock.ticks_at(clock.unix_ns(moment)) <= moment


@given(clocks, st.integers(0, 1 << 53))
def test_ticks_of_a_duration(clock: Clock, duration_ns: int) -> None:
    found = clock.ticks_in(duration_ns)
    assert clock.duration_ns(found) >= duration_ns
    assert found == 0 or clock.duration_ns(found - 1) < duration_ns


@given(st.lists(reading, max_size=4), st.lists(st.integers(0, (1 << 64) - 1), max_size=4))
def test_nonsense_is_survived(readings: list[ClockReading], moments: list[int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clock = Clock(readings, ticks_are_ns=False)
        assert clock.unix_ns(array(*moments)).shape == (len(moments),)
        assert clock.duration_ns(array(*moments)).dtype == np.int64
