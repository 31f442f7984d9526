"""Sums by function are those of the calls, whichever threads made them."""

from collections.abc import Iterator

import pytest

from calltrace_collector.core.twin import LOST, OPEN, Call
from calltrace_collector.errors import StoreError
from calltrace_collector.model.process import ModuleInfo, Segment
from calltrace_collector.query.stats import FunctionStats, function_stats
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.support.synthetic import TICKS_PER_NS, Synthetic, function
from tests.unit.query.brute import FUNCTIONS, SEEDS, random_process


def is_recursive(call: Call) -> bool:
    """Whether a call is beneath another of the same function."""
    above = call.parent
    while above is not None:
        if above.function == call.function:
            return True
        above = above.parent
    return False


def nearest_rank(durations: list[int], share: float) -> int:
    """The textbook's percentile."""
    return next(each for at, each in enumerate(durations, start=1) if at >= share * len(durations))


def by_name(stats: list[FunctionStats]) -> dict[str, FunctionStats]:
    return {each.function.name: each for each in stats}


def of_function(synthetic: Synthetic, name: str) -> Iterator[Call]:
    for thread in synthetic.twin.threads:
        yield from (call for call in synthetic.calls(thread) if synthetic.name(call) == name)


@pytest.mark.parametrize("seed", SEEDS)
def test_sums_of_all_threads(writer: Writer, reader: Reader, seed: int) -> None:
    synthetic = Synthetic(writer, FUNCTIONS, threads=3)
    random_process(synthetic, seed)
    found = by_name(function_stats(reader, synthetic.process))
    assert found.keys() == {each.name for each in FUNCTIONS}
    for name, stats in found.items():
        calls = list(of_function(synthetic, name))
        ended = [call for call in calls if call.status not in (LOST, OPEN)]
        durations = sorted(call.duration_ticks // TICKS_PER_NS for call in ended)
        assert (stats.calls, stats.completed) == (len(calls), len(ended))
        total = sum(call.duration_ticks for call in ended if not is_recursive(call))
        assert stats.total_ns == total // TICKS_PER_NS
        assert stats.self_ns == sum(call.self_ticks for call in ended) // TICKS_PER_NS
        assert (stats.min_ns, stats.max_ns) == (durations[0], durations[-1])
        assert stats.p50_ns == pytest.approx(nearest_rank(durations, 0.5), rel=0.05, abs=1)
        assert stats.p99_ns == pytest.approx(nearest_rank(durations, 0.99), rel=0.05, abs=1)


def test_percentiles_of_many_durations(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, [function("f")], chunk_rows=10_000)
    durations = [1, 7, 33, 1000, 12_345, 999_999, 10**9, 10**12] * 3 + [5] * 40 + [17 * 10**9] * 50
    for duration in durations:
        synthetic.enter("f")
        synthetic.leave(duration)
    synthetic.commit()
    (stats,) = function_stats(reader, synthetic.process)
    assert stats.p50_ns == pytest.approx(nearest_rank(sorted(durations), 0.5), rel=0.05)
    assert stats.p99_ns == pytest.approx(nearest_rank(sorted(durations), 0.99), rel=0.05)


def test_a_single_call_has_exact_percentiles(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, [function("f")])
    synthetic.enter("f")
    synthetic.leave(1_000_003)
    synthetic.commit()
    (stats,) = function_stats(reader, synthetic.process)
    assert {stats.min_ns, stats.max_ns, stats.p50_ns, stats.p99_ns, stats.total_ns} == {1_000_003}


def test_a_call_that_has_not_ended_counts_and_has_no_time(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, [function("f"), function("g")])
    synthetic.enter("f")
    synthetic.enter("g")
    synthetic.leave(10)
    synthetic.commit()
    f = by_name(function_stats(reader, synthetic.process))["f"]
    assert (f.calls, f.completed, f.total_ns, f.self_ns) == (1, 0, 0, 0)
    assert (f.min_ns, f.max_ns, f.p50_ns, f.p99_ns) == (None, None, None, None)


def test_a_function_of_a_module_that_was_loaded_again_is_one(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, [function("f")])
    synthetic.enter("f", line=10)
    synthetic.leave(10)
    synthetic.forget_addresses()
    synthetic.enter("f", line=20)
    synthetic.leave(30)
    synthetic.commit()
    assert len(reader.functions(synthetic.process)) == 2
    (stats,) = function_stats(reader, synthetic.process)
    assert (stats.calls, stats.total_ns, stats.min_ns, stats.max_ns) == (2, 40, 10, 30)


def test_functions_of_no_module_are_apart(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, [function("f"), function("g")])
    synthetic.modules.put(ModuleInfo(0, "", b"", 0, (Segment(0, 1, 0, 5),), unloaded_ticks=1))
    for name in "fg":
        synthetic.enter(name)
        synthetic.leave()
    synthetic.commit()
    assert [each.calls for each in function_stats(reader, synthetic.process)] == [1, 1]


def test_a_process_without_calls_has_no_functions(writer: Writer, reader: Reader) -> None:
    assert function_stats(reader, Synthetic(writer, FUNCTIONS).process) == []


def test_a_profile_of_functions_that_are_not_there(
    writer: Writer, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthetic = Synthetic(writer, [function("f")])
    synthetic.enter("f")
    synthetic.commit()
    monkeypatch.setattr(Reader, "functions", lambda *_: [])
    with pytest.raises(StoreError, match="damaged"):
        function_stats(reader, synthetic.process)


def test_a_damaged_profile(writer: Writer, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    synthetic = Synthetic(writer, [function("f")])
    monkeypatch.setattr(Reader, "profiles", lambda *_: {0: b"\xff"})
    with pytest.raises(StoreError, match="damaged"):
        function_stats(reader, synthetic.process)
