"""Searching finds the calls that a look at every one of them finds, with all that is known of them."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import pytest

from calltrace_collector.core import Rows
from calltrace_collector.core.twin import Call
from calltrace_collector.errors import NotFoundError, StoreError
from calltrace_collector.model.process import CallStatus, ProcessState
from calltrace_collector.query.calls import Search
from calltrace_collector.query.filters import CallFilter, Matcher
from calltrace_collector.query.recording import Recording
from calltrace_collector.query.thread_calls import ThreadCalls
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.records import Chunk, ChunkHead
from calltrace_collector.store.writer import Writer
from tests.support.synthetic import Synthetic, function
from tests.unit.query.brute import FUNCTIONS, SEEDS, passes, random_filter, random_process

Row = tuple[Any, ...]


def opened(reader: Reader, synthetic: Synthetic) -> Recording:
    return Recording(reader, reader.processes(process=synthetic.process)[0])


def found(recording: Recording, matcher: Matcher, thread: int) -> list[Row]:
    """The hits as tuples of their columns and their end."""
    rows: list[Row] = []
    for block in Search(recording, recording.threads[thread], matcher).blocks():
        columns = [getattr(block.rows, each.name)[block.hits].tolist() for each in fields(Rows)]
        rows += zip(*columns, block.end_ticks[block.hits].tolist(), strict=True)
    return rows


def expected(synthetic: Synthetic, call: Call) -> Row:
    return (
        call.call,
        call.parent.call if call.parent else 0,
        call.site,
        call.depth,
        call.start_ticks,
        call.duration_ticks,
        call.self_ticks,
        call.status,
        synthetic.until_ticks(call),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_all_calls_in_order_of_entry(writer: Writer, reader: Reader, seed: int) -> None:
    synthetic = Synthetic(writer, FUNCTIONS, threads=2)
    random_process(synthetic, seed)
    recording = opened(reader, synthetic)
    matcher = recording.matcher(CallFilter())
    for thread in range(2):
        calls = [expected(synthetic, call) for call in synthetic.calls(thread)]
        assert len(calls) > 50
        assert found(recording, matcher, thread) == calls


@pytest.mark.parametrize("seed", SEEDS)
def test_filters_find_what_passes_them(writer: Writer, reader: Reader, seed: int) -> None:
    synthetic = Synthetic(writer, FUNCTIONS, chunk_rows=[3, 8, 64][seed % 3])
    random_process(synthetic, seed)
    recording = opened(reader, synthetic)
    some = 0
    for number in range(25):
        wanted = random_filter(synthetic, seed * 1000 + number)
        hits = [expected(synthetic, call) for call in synthetic.calls() if passes(synthetic, call, wanted)]
        assert found(recording, recording.matcher(wanted), 0) == hits, wanted
        some += bool(hits)
    assert some > 12


def test_few_chunks_are_read_for_few_hits(
    writer: Writer, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthetic = Synthetic(writer, [function("main"), function("often"), function("seldom")])
    synthetic.enter("main")
    for number in range(800):
        synthetic.enter("seldom" if number in {100, 700} else "often")
        synthetic.leave()
    synthetic.leave()
    synthetic.commit()
    recording = opened(reader, synthetic)
    loaded: list[int] = []
    load = Reader.chunks

    def counted(self: Reader, heads: Sequence[ChunkHead]) -> Iterator[Chunk]:
        loaded.extend(head.number for head in heads)
        return load(self, heads)

    monkeypatch.setattr(Reader, "chunks", counted)
    hits = found(recording, recording.matcher(CallFilter(function="seldom")), 0)
    assert [row[0] for row in hits] == [102, 702]
    # The two chunks they are in, and those after these, where the last calls of the two end.
    assert len(loaded) <= 4 < len(ThreadCalls(reader, synthetic.process, 0).heads) // 10


def test_a_call_that_ends_chunks_later_is_found_by_what_only_its_end_tells(
    writer: Writer, reader: Reader
) -> None:
    synthetic = Synthetic(writer, [function("main"), function("slow"), function("quick")])
    synthetic.enter("main")
    synthetic.enter("slow")
    for _ in range(200):
        synthetic.enter("quick")
        synthetic.leave()
    synthetic.leave(1_000_000)
    for _ in range(200):
        synthetic.enter("quick")
        synthetic.leave()
    synthetic.commit()
    recording = opened(reader, synthetic)
    slow = recording.matcher(CallFilter(function="slow", min_duration_ns=1_000_000))
    assert [row[0] for row in found(recording, slow, 0)] == [2]
    longer = recording.matcher(CallFilter(min_duration_ns=1_000_000))
    assert [row[0] for row in found(recording, longer, 0)] == [1, 2]


def test_calls_left_open_by_a_crash_crashed(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, FUNCTIONS)
    synthetic.enter("main")
    synthetic.end(ProcessState.CRASHED, signal=11)
    recording = opened(reader, synthetic)
    (row,) = found(recording, recording.matcher(CallFilter()), 0)
    assert recording.statuses[row[7]] == CallStatus.CRASHED


def test_a_running_process_may_use_new_sites_meanwhile(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, FUNCTIONS)
    synthetic.enter("main")
    synthetic.commit()
    recording = opened(reader, synthetic)
    matcher = recording.matcher(CallFilter())
    synthetic.enter("leaf")
    synthetic.commit()
    assert len(found(recording, matcher, 0)) == 2
    assert recording.names.function(1).name == "leaf"


def test_threads_by_tid(writer: Writer, reader: Reader) -> None:
    recording = opened(reader, Synthetic(writer, FUNCTIONS, threads=3))
    assert [thread.number for thread in recording.threads_of(101)] == [1]
    assert [thread.number for thread in recording.threads_of(None)] == [0, 1, 2]
    with pytest.raises(NotFoundError, match=r"no thread with tid 7: it has 100, 101, 102$"):
        recording.threads_of(7)


def test_a_function_that_is_not_there(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, FUNCTIONS)
    synthetic.enter("main")
    synthetic.commit()
    with pytest.raises(NotFoundError, match=r"nosuch\* matches none of the 1 functions of process 1: "):
        opened(reader, synthetic).matcher(CallFilter(function="nosuch*"))


def test_a_call_that_is_not_there(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, FUNCTIONS)
    synthetic.enter("main")
    synthetic.commit()
    calls = ThreadCalls(reader, synthetic.process, 0)
    assert calls.find(1)[1] == 0
    for call in (0, 2):
        with pytest.raises(StoreError, match=f"no call {call} of thread 0"):
            calls.find(call)
