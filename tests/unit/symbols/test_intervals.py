import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calltrace_collector.symbols.intervals import IntervalMap, within

BOUNDS = st.tuples(st.integers(0, 30), st.integers(0, 30))
POINTS = np.arange(32, dtype=np.uint64)


def interval_map(bounds: list[tuple[int, int]], ranks: list[int]) -> IntervalMap:
    columns = np.array(bounds, dtype=np.uint64).reshape(-1, 2)
    return IntervalMap(columns[:, 0], columns[:, 1], np.array(ranks, dtype=np.int64))


@given(st.lists(BOUNDS, max_size=12), st.randoms())
def test_finds_what_looking_at_every_interval_finds(bounds: list[tuple[int, int]], random: object) -> None:
    ranks = list(range(len(bounds)))
    random.shuffle(ranks)  # type: ignore[attr-defined]  # hypothesis's own Random
    expected = [
        min(
            ((ranks[i], i) for i, (start, end) in enumerate(bounds) if start <= point < end),
            default=(0, -1),
        )[1]
        for point in POINTS.tolist()
    ]
    assert interval_map(bounds, ranks).find(POINTS).tolist() == expected


def test_intervals_at_the_end_of_the_address_space() -> None:
    last = (1 << 64) - 1
    found = interval_map([(0, last), (last - 5, last)], [1, 0]).find(
        np.array([0, last - 5, last - 1, last], dtype=np.uint64)
    )
    assert found.tolist() == [0, 1, 1, -1]


def test_within() -> None:
    ranges = np.array([[2, 4], [6, 7]], dtype=np.uint64)
    inside = np.flatnonzero(within(ranges, POINTS)).tolist()
    assert inside == [2, 3, 6]
    assert not within(ranges[:0], POINTS).any()
