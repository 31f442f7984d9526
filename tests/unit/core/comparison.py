"""What the core says of calls, in the words of its twin, and the comparison of the two."""

from __future__ import annotations

import bisect

import numpy as np

from calltrace_collector.core import Chunk, Profile, Rows, Values, decode_chunk, decode_values
from calltrace_collector.core.twin import OPEN, Call, FunctionSums, TwinThread


def decode(chunk: Chunk) -> Rows:
    """The chunk's rows."""
    return decode_chunk(
        chunk.columns,
        rows=chunk.rows,
        late_rows=chunk.late_rows,
        first_call=chunk.first_call,
        base_call=chunk.base_call,
    )


def values_of(chunk: Chunk) -> Values:
    """What was captured of the chunk's calls."""
    return decode_values(
        chunk.values,
        chunk.columns,
        rows=chunk.rows,
        late_rows=chunk.late_rows,
        first_call=chunk.first_call,
        base_call=chunk.base_call,
    )


def table(rows: Rows) -> list[tuple[int, ...]]:
    """The rows as tuples, in the order of the attributes."""
    columns = [getattr(rows, name).tolist() for name in Rows.__slots__]
    return list(zip(*columns, strict=True))


def expected_row(call: Call) -> tuple[int, ...]:
    """What a chunk should say of the call."""
    return (
        call.call,
        call.parent.call if call.parent else 0,
        call.site,
        call.depth,
        call.start_ticks,
        call.duration_ticks,
        call.self_ticks,
        call.status,
    )


def check_chunk(chunk: Chunk, rows: Rows, twin: TwinThread) -> None:
    """What a chunk says of itself agrees with its rows."""
    late, calls = chunk.late_rows, rows.call.tolist()
    assert chunk.rows == len(rows) > 0
    assert chunk.open_rows == np.count_nonzero(rows.status == OPEN)
    assert calls == sorted(set(calls))
    assert not np.any(rows.status[:late] == OPEN)
    assert (chunk.late_first_call, chunk.late_last_call) == ((calls[0], calls[late - 1]) if late else (0, 0))
    assert calls[late:] == list(range(chunk.first_call, chunk.first_call + chunk.rows - late))
    assert chunk.first_call != 0 or late == chunk.rows
    assert chunk.min_depth == min(rows.depth)
    assert chunk.max_depth == max(rows.depth)
    assert chunk.start_ticks == min(rows.start_ticks)
    assert chunk.end_ticks == max(rows.start_ticks + rows.duration_ticks)
    assert set(rows.parent[rows.depth == chunk.min_depth].tolist()) == {chunk.base_call}

    expected: dict[int, list[int]] = {}
    for call, status, duration in zip(calls, rows.status, rows.duration_ticks.tolist(), strict=True):
        if status != OPEN:
            sums = expected.setdefault(twin.calls[call - 1].function, [0, 0])
            sums[0] += 1
            sums[1] = max(sums[1], duration)
    found = zip(chunk.function.tolist(), chunk.function_calls, chunk.function_max_ticks, strict=True)
    assert {function: [calls, longest] for function, calls, longest in found} == expected
    assert len(chunk.function) == len(expected)


def check_contexts(profile: Profile, twin: TwinThread, limit: int) -> None:
    """The profile's calling-context tree is that of the calls."""
    paths: list[tuple[int, ...]] = []
    found: dict[tuple[int, ...], list[int]] = {}
    for parent, function, *sums in profile.contexts.tolist():
        assert parent < len(paths) or not paths
        paths.append((*paths[parent], function) if paths else ())
        assert paths[-1] not in found
        found[paths[-1]] = sums
    assert found == twin.contexts(limit)[0]


def check_functions(profile: Profile, expected: dict[int, FunctionSums]) -> None:
    """The profile's sums by function are those of the calls."""
    end = 0
    seen = set()
    for function, buckets, calls, completed, total, self_ticks, least, most in profile.functions.tolist():
        sums = expected[function]
        assert (calls, completed) == (sums.calls, len(sums.durations))
        assert (total, self_ticks) == (sums.total_ticks, sums.self_ticks)
        assert (least, most) == (min(sums.durations, default=0), max(sums.durations, default=0))
        start, end = end, end + buckets
        check_histogram(
            profile.bucket_low_ticks[start:end].tolist(),
            profile.bucket_calls[start:end].tolist(),
            sums.durations,
        )
        seen.add(function)
    assert seen == expected.keys()
    assert len(profile.functions) == len(seen)
    assert end == len(profile.bucket_calls) == len(profile.bucket_low_ticks)


def check_histogram(lows: list[int], calls: list[int], durations: list[int]) -> None:
    """Each duration is counted in a bucket that begins less than 1/16 below it."""
    assert lows == sorted(set(lows))
    expected: dict[int, int] = dict.fromkeys(lows, 0)
    for duration in durations:
        low = lows[bisect.bisect_right(lows, duration) - 1]
        assert low <= duration
        assert duration == low or (duration - low) * 16 < low
        expected[low] += 1
    assert expected == dict(zip(lows, calls, strict=True))
