import itertools
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calltrace_collector.errors import StoreError
from calltrace_collector.model.commit import CallSiteName, ChunkRow, Commit, FunctionName, Loss, StackPart
from calltrace_collector.model.process import ClockReading, Host, ProcessEnd, ProcessState
from calltrace_collector.store.chunk_filter import ChunkFilter
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.records import ChunkHead, FunctionInChunk, SiteRecord
from calltrace_collector.store.writer import Writer
from tests.unit.store.samples import (
    HOST,
    MAX_U64,
    chunk,
    frames,
    module_info,
    pack,
    process_info,
    progress,
    rows_of,
    site,
    thread_info,
)

# A database is only ever added to, so one of them serves all examples of a test.
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)


def started(at_ns: int) -> ClockReading:
    return ClockReading(ticks=at_ns, monotonic_ns=at_ns, realtime_ns=at_ns)


@pytest.fixture
def four_processes(writer: Writer) -> list[int]:
    """Stored in another order than they began in; two have the same pid, the last is on another host."""
    other = Host("elsewhere", "ffff", "boot-9", "Linux")
    infos = [
        process_info("b", pid=7, clock=started(2000)),
        process_info("a", pid=7, clock=started(1000)),
        process_info("c", pid=8, clock=started(3000), parent_session_id=b"a".ljust(16, b".")),
        process_info("d", pid=9, clock=started(4000), host=other),
    ]
    return [writer.open_process(info).process for info in infos]


def test_processes_newest_first(reader: Reader, four_processes: list[int]) -> None:
    b, a, c, d = four_processes
    assert [one.id for one in reader.processes()] == [d, c, b, a]
    assert [one.id for one in reader.processes(limit=2)] == [d, c]
    assert [one.id for one in reader.processes(pid=7)] == [b, a]
    assert [one.id for one in reader.processes(pid=7, limit=1)] == [b]
    assert [one.id for one in reader.processes(process=a)] == [a]
    assert [one.id for one in reader.processes(process=a, pid=8)] == []
    assert [one.id for one in reader.processes(host="workshop")] == [c, b, a]
    assert [one.id for one in reader.processes(host=HOST.machine_id, pid=8)] == [c]
    assert [one.id for one in reader.processes(host="ffff")] == [d]
    assert reader.processes(pid=1234) == []


def test_all_of_a_process(reader: Reader, writer: Writer, four_processes: list[int]) -> None:
    _, a, c, _ = four_processes
    end = ProcessEnd(ProcessState.CRASHED, exit_code=None, signal=11, ended_at_ns=5000)
    writer.commit([Commit(c, 12, threads=[thread_info()], progress=[progress(dropped=5)], end=end)])
    (found,) = reader.processes(process=c)
    info = process_info("c", pid=8, clock=started(3000), parent_session_id=b"a".ljust(16, b"."))
    for field in fields(info):
        if field.name not in ("host", "clock", "capture"):
            assert getattr(found, field.name) == getattr(info, field.name), field.name
    assert (found.host, found.machine_id, found.boot_id, found.kernel) == (
        *(HOST.name, HOST.machine_id, HOST.boot_id, HOST.kernel),
    )
    assert (found.parent, found.started_at_ns, found.ended_at_ns) == (a, 3000, 5000)
    assert (found.state, found.exit_code, found.signal) == (ProcessState.CRASHED, None, 11)
    assert (found.sequence, found.threads, found.calls, found.lost_events) == (12, 1, 100, 5)


def test_the_image_before(reader: Reader, writer: Writer) -> None:
    """The next image of a process has its pid and its start; another process of that pid has not."""
    other = Host("elsewhere", "ffff", "boot-1", "Linux")
    infos = [
        process_info("forked", clock=started(1000), parent_session_id=b"gone".ljust(16, b".")),
        process_info("exec", clock=started(2000)),
        process_info("exec again", clock=started(3000)),
        process_info("another", clock=started(4000), start_time_jiffies=78),
        process_info("elsewhere", clock=started(4000), host=other),
        process_info("unknown", clock=started(5000), start_time_jiffies=0),
        process_info("as unknown", clock=started(6000), start_time_jiffies=0),
    ]
    ids = [writer.open_process(info).process for info in infos]
    parents = {process.id: process.parent for process in reader.processes()}
    assert [parents[each] for each in ids] == [None, ids[0], ids[1], None, None, None, None]


def test_threads_modules_and_the_rest(reader: Reader, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    modules = (module_info(0, unloaded_ticks=9), module_info(3, segments=(), build_id=b""))
    writer.commit(
        [
            Commit(
                process,
                1,
                threads=[thread_info(2), thread_info(0)],
                modules=list(modules),
                progress=[progress(2)],
                clocks=[ClockReading(6_000_000, 2_000_000, 5)],
            )
        ]
    )
    first, second = reader.threads(process)
    assert (first.number, first.calls, second.number, second.calls, second.name) == (0, 0, 2, 100, "worker")
    assert (second.process, second.ring_end, second.depth, second.next_chunk) == (process, 4096, 2, 1)
    assert reader.modules(process) == modules
    assert reader.profiles(process) == {2: b"profile of 2"}
    assert [one.ticks for one in reader.clock_readings(process)] == [3_000_000, 6_000_000]
    for nothing in (reader.threads(9), reader.functions(9), reader.sites(9), reader.clock_readings(9)):
        assert nothing == []
    assert (reader.modules(9), reader.profiles(9), reader.stack(9, 0)) == ((), {}, b"")


def test_functions_have_names_or_what_stands_for_them(reader: Reader, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    sites = [site(0), site(1, function=0), site(2), site(3, module=None)]
    writer.commit([Commit(process, 1, modules=[module_info()], sites=sites)])
    writer.name(
        1,
        [
            FunctionName(0x1000, 32, "_Z4mainv", "main()", "/src/main.cc", 3),
            FunctionName(0x1020, 0, *[None] * 4),
        ],
        [CallSiteName(0x2004, "main()", "/src/main.cc", 9)],
    )
    main, unnamed, nowhere = reader.functions(process)
    assert (main.number, main.name, main.is_named, main.linkage_name) == (0, "main()", True, "_Z4mainv")
    assert (main.module, main.module_number, main.offset, main.size_bytes) == ("/usr/bin/prog", 0, 0x1000, 32)
    assert (main.file, main.line, main.address) == ("/src/main.cc", 3, 0x5555_0000_1000)
    assert (unnamed.number, unnamed.name, unnamed.is_named) == (2, "prog+0x1020", False)
    assert (unnamed.linkage_name, unnamed.file, unnamed.line) == (None, None, None)
    assert (nowhere.number, nowhere.name, nowhere.module) == (3, "0x555500001030", None)
    assert reader.sites(process)[1:] == [
        SiteRecord(1, 0, 0x5555_0000_2004, "main()", "/src/main.cc", 9, "/usr/bin/prog", 0x2004, -16),
        SiteRecord(2, 2, 0x5555_0000_2008, None, None, None, "/usr/bin/prog", 0x2008, -32),
        SiteRecord(3, 3, 0x5555_0000_200C, None, None, None, None, None, -48),
    ]


@pytest.mark.parametrize(
    ("deep", "depth"), [(3, 3), (4096, 4096), (5000, 5000), (8192, 4097), (5000, 4500), (5000, 10), (100, 0)]
)
def test_stack(reader: Reader, writer: Writer, deep: int, depth: int) -> None:
    process = writer.open_process(process_info()).process
    parts = tuple(
        StackPart(part, pack(frames(deep)[part * 4096 * 40 : (part + 1) * 4096 * 40]))
        for part in range(-(-deep // 4096))
    )
    steps = [progress(depth=deep, stack_parts=parts), progress(depth=depth, stack_parts=())]
    for step in steps:
        writer.commit([Commit(process, 1, threads=[thread_info()], progress=[step])])
    assert reader.stack(process, 0) == frames(deep)[: depth * 40]
    assert writer.open_process(process_info()).stacks == {0: frames(deep)[: depth * 40]}


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (StackPart(0, pack(frames(1))),),
        (StackPart(0, b"no zstd"),),
        (StackPart(0, pack(bytes(1_000_000))),),
        (StackPart(0, zstandard.ZstdCompressor(write_content_size=False).compress(frames(5))),),
    ],
)
def test_damaged_stack(reader: Reader, writer: Writer, parts: tuple[StackPart, ...]) -> None:
    process = writer.open_process(process_info()).process
    step = progress(depth=5, stack_parts=parts)
    writer.commit([Commit(process, 1, threads=[thread_info()], progress=[step])])
    with pytest.raises(StoreError, match="the database is damaged"):
        reader.stack(process, 0)


def test_losses_in_order(reader: Reader, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    losses = [
        Loss(thread=thread, kind=4, call=call, ticks=ticks, count=1 + call)
        for thread in (0, 1)
        for ticks in range(500)
        for call in (0, 3, 3)
    ]
    losses.append(Loss(thread=1, kind=2, call=4, ticks=499, count=MAX_U64))
    commit = Commit(process, 1, threads=[thread_info(0), thread_info(1)], losses=losses[::-1])
    writer.commit([commit])
    assert list(reader.losses(process)) == losses
    assert list(reader.losses(process, 1)) == [loss for loss in losses if loss.thread == 1]
    assert list(reader.losses(process, 7)) == []


def test_chunks_in_order_with_their_columns(reader: Reader, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    order = [3, 0, 2, 1, *range(4, 30)]
    for number in order:
        writer.commit([Commit(process, 1, chunks=[chunk(number), chunk(number, thread=1)])])
    heads = reader.chunk_heads(process, 1)
    assert [(head.process, head.thread, head.number) for head in heads] == [
        (process, 1, n) for n in range(30)
    ]
    found = list(reader.chunks(heads))
    assert [one.head for one in found] == heads
    assert [one.columns() for one in found] == [b"columns of 1/%d" % number for number in range(30)]
    assert [one.head.number for one in reader.chunks(heads[::-7])] == [29, 22, 15, 8, 1]
    assert list(reader.chunks([])) == []
    assert reader.chunk_heads(process, 2) == []


def test_head_and_columns_are_of_the_same_moment(reader: Reader, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    writer.commit([Commit(process, 1, chunks=[chunk(0)])])
    heads = reader.chunk_heads(process, 0)
    writer.commit([Commit(process, 2, chunks=[chunk(0, rows=123, columns=pack(b"more"))])])
    (found,) = reader.chunks(heads)
    assert (found.head.rows, found.columns()) == (123, b"more")


def test_chunk_that_is_gone_is_left_out(reader: Reader, writer: Writer, path: Path) -> None:
    process = writer.open_process(process_info()).process
    writer.commit([Commit(process, 1, chunks=[chunk(0), chunk(1)])])
    heads = reader.chunk_heads(process, 0)
    gone = replace(heads[0], id=12345)
    assert [one.head for one in reader.chunks([gone, heads[1]])] == heads[1:]
    assert len(rows_of(path, "SELECT id FROM chunk")) == 2


def test_columns_that_do_not_fit_their_rows(reader: Reader, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    writer.commit([Commit(process, 1, chunks=[chunk(0, rows=10, columns=pack(bytes(1_000_000)))])])
    (found,) = reader.chunks(reader.chunk_heads(process, 0))
    with pytest.raises(StoreError, match="damaged: a block of 1000000 bytes where at most 4896 fit"):
        found.columns()


def test_functions_in_chunks(reader: Reader, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    writer.commit(
        [
            Commit(process, 1, chunks=[chunk(0, functions=((0, 1, 5), (1, 2, 6)))]),
            Commit(process, 1, chunks=[chunk(1, functions=((1, 3, MAX_U64),))]),
        ]
    )
    first, second = (head.id for head in reader.chunk_heads(process, 0))
    assert reader.functions_in_chunks(process, range(2000)) == [
        FunctionInChunk(0, first, 1, 5),
        FunctionInChunk(1, first, 2, 6),
        FunctionInChunk(1, second, 3, MAX_U64),
    ]
    assert reader.functions_in_chunks(process, [0]) == [FunctionInChunk(0, first, 1, 5)]
    assert reader.functions_in_chunks(process, []) == []


chunk_rows = st.builds(
    lambda number, late, own, first, start, length, late_first, late_length, functions: chunk(
        number,
        rows=late + own,
        late_rows=late,
        first_call=first if own else 0,
        late_first_call=late_first if late else 0,
        late_last_call=late_first + late_length if late else 0,
        start_ticks=start,
        end_ticks=start + length,
        functions=tuple((function, 1, longest) for function, longest in functions.items()),
    ),
    st.integers(0, 7),
    st.integers(0, 3),
    st.integers(0, 9),
    st.integers(1, 50),
    st.integers(0, 50),
    st.integers(0, 20),
    st.integers(1, 30),
    st.integers(0, 20),
    st.dictionaries(st.integers(0, 5), st.integers(0, 30), max_size=4),
)
edge = st.none() | st.integers(0, 60)
filters = st.builds(
    ChunkFilter,
    functions=st.none() | st.sets(st.integers(0, 6), max_size=3),
    min_ticks=st.integers(0, 30),
    since_ticks=edge,
    until_ticks=edge,
    first_call=edge,
    last_call=edge,
)


def passes(head: ChunkHead, functions: dict[int, int], wanted: ChunkFilter) -> bool:
    """The same question, asked of one chunk in Python."""
    candidates = functions if wanted.functions is None else functions.keys() & wanted.functions
    own_calls = range(head.first_call, head.first_call + head.rows - head.late_rows)
    asks_for_calls = wanted.first_call is not None or wanted.last_call is not None
    low = 0 if wanted.first_call is None else wanted.first_call
    high = MAX_U64 if wanted.last_call is None else wanted.last_call
    return all(
        (
            bool(candidates) if wanted.functions is not None else True,
            any(functions[one] >= wanted.min_ticks for one in candidates) if wanted.min_ticks else True,
            wanted.since_ticks is None or head.end_ticks >= wanted.since_ticks,
            wanted.until_ticks is None or head.start_ticks <= wanted.until_ticks,
            not asks_for_calls or any(low <= call <= high for call in own_calls),
        )
    )


@SHARED
@given(rows=st.lists(chunk_rows, min_size=1, max_size=8, unique_by=lambda row: row.number), wanted=filters)
def test_pruning(reader: Reader, writer: Writer, rows: list[ChunkRow], wanted: ChunkFilter) -> None:
    process = store_chunks(writer, rows)
    functions = {row.number: {function: longest for function, _, longest in row.functions} for row in rows}
    every = reader.chunk_heads(process, 0)
    assert sorted(functions) == [head.number for head in every]
    expected = [head for head in every if passes(head, functions[head.number], wanted)]
    assert reader.chunk_heads(process, 0, wanted) == expected


@SHARED
@given(
    rows=st.lists(chunk_rows, min_size=1, max_size=8, unique_by=lambda row: row.number),
    first=st.integers(0, 60),
    length=st.integers(0, 20),
    after=st.integers(-1, 7),
)
def test_chunks_with_late_rows(
    reader: Reader,
    writer: Writer,
    rows: list[ChunkRow],
    first: int,
    length: int,
    after: int,
) -> None:
    process = store_chunks(writer, rows)
    expected = [
        head
        for head in reader.chunk_heads(process, 0)
        if head.late_rows
        and head.number > after
        and set(range(head.late_first_call, head.late_last_call + 1)) & set(range(first, first + length + 1))
    ]
    found = reader.late_heads(process, 0, first_call=first, last_call=first + length, after=after)
    assert found == expected


names = (f"process {number}" for number in itertools.count())


def store_chunks(writer: Writer, rows: Iterable[ChunkRow]) -> int:
    """A new process with these chunks."""
    process = writer.open_process(process_info(next(names))).process
    writer.commit([Commit(process, 1, chunks=list(rows))])
    return process


def test_clock(reader: Reader, writer: Writer) -> None:
    def reading(ns: int) -> ClockReading:
        return ClockReading(ticks=3 * ns, monotonic_ns=ns, realtime_ns=10**18 + ns)

    alone = writer.open_process(process_info("alone", clock=reading(1000))).process
    assert not reader.clock(alone).rate_is_known
    other_boot = writer.open_process(
        process_info("other boot", clock=reading(1), host=replace(HOST, boot_id="boot-2"))
    ).process
    writer.commit([Commit(other_boot, 1, clocks=[reading(2000)])])
    in_ns = writer.open_process(process_info("in ns", clock=reading(1), ticks_are_ns=True)).process
    writer.commit([Commit(in_ns, 1, clocks=[reading(2000)])])
    assert not reader.clock(alone).rate_is_known
    assert reader.clock(in_ns).duration_ns(30) == 30

    same_boot = writer.open_process(process_info("same boot", clock=reading(50))).process
    assert reader.clock(alone).duration_ns(30) == 10
    writer.commit([Commit(same_boot, 1, clocks=[reading(5000)])])
    assert reader.clock(same_boot).unix_ns(3 * 1000) == 10**18 + 1000
    assert reader.clock(alone).unix_ns(3 * 1001) == 10**18 + 1001


def test_pruning_by_many_functions(reader: Reader, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    rows = [chunk(number, functions=((number * 3, 1, 7),)) for number in range(40)]
    writer.commit([Commit(process, 1, chunks=rows)])

    def found(functions: Iterable[int]) -> list[int]:
        heads = reader.chunk_heads(process, 0, ChunkFilter(functions=tuple(functions)))
        return [head.number for head in heads]

    assert found(range(1000)) == list(range(40))
    assert found(range(30, 90)) == list(range(10, 30))
    assert found(range(200, 1000)) == []
