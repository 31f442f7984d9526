"""Durations in ticks never leave out a call that lasted long enough in nanoseconds."""

from hypothesis import given
from hypothesis import strategies as st

from calltrace_collector.model.clock import Clock
from calltrace_collector.model.process import ClockReading
from calltrace_collector.query.filters import fewest_ticks

steps = st.lists(st.tuples(st.integers(1, 10**11), st.integers(1, 10**11)), min_size=1, max_size=6)


@given(steps, st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12))
def test_no_call_of_a_duration_lasts_fewer_ticks(
    steps: list[tuple[int, int]], start: int, length: int, least_ns: int
) -> None:
    ticks = monotonic_ns = 10**12
    readings = [ClockReading(ticks, monotonic_ns, 10**18)]
    for step_ticks, step_ns in steps:
        ticks, monotonic_ns = ticks + step_ticks, monotonic_ns + step_ns
        readings.append(ClockReading(ticks, monotonic_ns, 10**18))
    clock = Clock(readings, ticks_are_ns=False)
    if clock.unix_ns(start + length) - clock.unix_ns(start) >= least_ns:
        assert length >= fewest_ticks(clock, readings, least_ns)


def test_close_to_the_duration_where_ticks_are_of_one_length() -> None:
    readings = [ClockReading(0, 0, 0), ClockReading(3 * 10**10, 10**10, 10**10)]
    clock = Clock(readings, ticks_are_ns=False)
    assert 2_999_990 < fewest_ticks(clock, readings, 1_000_000) <= 3_000_000
