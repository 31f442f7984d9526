import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from sqlalchemy import text

from calltrace_collector.errors import StoreError
from calltrace_collector.model.commit import Commit, Loss, Sink, StackPart
from calltrace_collector.model.process import ClockReading, Host, ProcessEnd, ProcessState
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
    value_of,
)

TABLES = (
    *("host", "process", "clock", "thread", "thread_stack", "thread_profile", "loss", "module_file"),
    *("function", "call_site", "process_module", "process_function", "site", "chunk", "chunk_columns"),
    *("chunk_values", "chunk_function"),
)


def contents(path: Path) -> dict[str, list[tuple[object, ...]]]:
    return {table: rows_of(path, f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES}


def full_commit(process: int, sequence: int = 7) -> Commit:
    return Commit(
        process=process,
        sequence=sequence,
        threads=[thread_info(0), thread_info(1, name="second")],
        modules=[module_info(0)],
        sites=[site(0), site(1), site(2, function=1, module=None)],
        chunks=[chunk(0), chunk(0, thread=1)],
        progress=[progress(0, dropped=3), progress(1, calls=50, dropped=4)],
        clocks=[ClockReading(6_000_000, 2_000_000, 1_700_000_000_001_000_000)],
        losses=[Loss(thread=0, kind=4, call=5, ticks=77, count=3)],
    )


def test_process_that_begins(path: Path, writer: Writer) -> None:
    saved = writer.open_process(process_info(parent_session_id=b"p" * 16, arguments=("prog", 'a "b"', "é")))
    assert (saved.process, saved.sequence, saved.ended) == (1, 0, False)
    assert (saved.threads, saved.modules, saved.sites, saved.progress) == ((), (), (), ())
    assert rows_of(path, "SELECT identity, name, machine_id FROM host") == [
        (HOST.machine_id, HOST.name, HOST.machine_id)
    ]
    assert rows_of(
        path,
        "SELECT session_id, parent_session_id, pid, executable, json_extract(arguments, '$[1]'), boot_id, "
        "started_at_ns, ended_at_ns, state, calls FROM process",
    ) == [
        (
            *(b"one" + b"." * 13, b"p" * 16, 4242, "/usr/bin/prog", 'a "b"', "boot-1"),
            *(1_700_000_000_000_000_000, None, "running", 0),
        )
    ]
    assert rows_of(path, "SELECT ticks, monotonic_ns, realtime_ns FROM clock") == [
        (3_000_000, 1_000_000, 1_700_000_000_000_000_000)
    ]


def test_process_is_found_again(path: Path, writer: Writer) -> None:
    first = writer.open_process(process_info("one")).process
    second = writer.open_process(process_info("two")).process
    assert writer.open_process(process_info("one")).process == first != second
    assert value_of(path, "SELECT count(*) FROM process") == 2
    assert value_of(path, "SELECT count(*) FROM host") == 1


def test_hosts_are_told_apart_by_machine_id_then_name(path: Path, writer: Writer) -> None:
    hosts = [
        HOST,
        replace(HOST, name="renamed"),
        Host("bare", "", "b", "k"),
        Host("other", "", "b", "k"),
        Host("bare", "", "b2", "k"),
    ]
    for number, host in enumerate(hosts):
        writer.open_process(process_info(f"{number}", host=host))
    assert rows_of(path, "SELECT host_id FROM process ORDER BY id") == [(1,), (1,), (2,), (3,), (2,)]
    assert rows_of(path, "SELECT name FROM host ORDER BY id") == [("renamed",), ("bare",), ("other",)]


def test_a_commit_is_stored(path: Path, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    writer.commit([full_commit(process)])
    assert rows_of(path, "SELECT sequence, threads, calls, lost_events, state FROM process") == [
        (7, 2, 150, 7, "running")
    ]
    assert rows_of(path, "SELECT number, tid, name, calls, depth, next_chunk FROM thread") == [
        (0, 4242, "worker", 100, 2, 1),
        (1, 4243, "second", 50, 2, 1),
    ]
    ((packed,),) = rows_of(path, "SELECT frames FROM thread_stack WHERE thread = 0 AND part = 0")
    assert zstandard.decompress(packed) == frames(2)
    ((packed,),) = rows_of(path, "SELECT profile FROM thread_profile WHERE thread = 1")
    assert zstandard.decompress(packed) == b"profile of 1"
    assert rows_of(path, "SELECT identity, path FROM module_file") == [
        ("build-id:c0ffee0000000000", "/usr/bin/prog")
    ]
    assert rows_of(path, "SELECT number, module_file_id, load_bias, segments FROM process_module") == [
        (0, 1, 0x5555_0000_0000, "[[0, 4096, 0, 4], [4096, 8192, 4096, 5]]")
    ]
    assert rows_of(path, "SELECT number, address, module, offset FROM process_function") == [
        (0, 0x5555_0000_1000, 0, 0x1000),
        (1, 0x5555_0000_1010, None, None),
    ]
    assert rows_of(
        path, "SELECT number, function, call_site_module, call_site_offset, frame_delta_bytes FROM site"
    ) == [(0, 0, 0, 0x2000, 0), (1, 1, 0, 0x2004, -16), (2, 1, None, None, -32)]
    assert rows_of(path, "SELECT module_file_id, offset, quality, name FROM function") == [
        (1, 0x1000, 0, None),
        (1, 0x1010, 0, None),
    ]
    assert rows_of(path, "SELECT offset FROM call_site") == [(0x2000,), (0x2004,)]
    assert rows_of(path, "SELECT ticks FROM clock") == [(3_000_000,), (6_000_000,)]
    assert rows_of(path, "SELECT thread, ticks, call, kind, count, times FROM loss") == [(0, 77, 5, 4, 3, 1)]


def test_chunks_are_stored(path: Path, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    writer.commit([full_commit(process)])
    assert rows_of(
        path,
        "SELECT thread, number, rows, first_call, start_ticks, end_ticks, max_ticks, columns "
        "FROM chunk JOIN chunk_columns ON chunk_id = id ORDER BY id",
    ) == [
        (0, 0, 100, 1, 0, 999, 500, pack(b"columns of 0/0")),
        (1, 0, 100, 1, 0, 999, 500, pack(b"columns of 1/0")),
    ]
    assert rows_of(
        path, "SELECT function, thread, calls, f.max_ticks FROM chunk_function f JOIN chunk ON id = chunk_id"
    ) == [(0, 0, 60, 500), (0, 1, 60, 500), (1, 0, 40, 30), (1, 1, 40, 30)]


def test_storing_again_changes_nothing(path: Path, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    writer.commit([full_commit(process)])
    before = contents(path)
    writer.commit([full_commit(process)])
    assert contents(path) == before


def test_chunk_that_grew_replaces_itself(path: Path, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    writer.commit([full_commit(process)])
    before = rows_of(path, "SELECT id FROM chunk ORDER BY id")
    grown = chunk(
        0,
        rows=250,
        columns=pack(b"more"),
        functions=((0, 150, 500), (1, 90, 900), (2, 10, 1)),
        values=pack(b"values"),
    )
    assert rows_of(path, "SELECT * FROM chunk_values") == []
    writer.commit([Commit(process, 8, chunks=[grown, chunk(1)])])
    assert rows_of(path, "SELECT * FROM chunk_values") == [(*before[0], pack(b"values"))]
    after = rows_of(path, "SELECT id, thread, number, rows, max_ticks FROM chunk ORDER BY id")
    assert [row[1:] for row in after] == [(0, 0, 250, 900), (1, 0, 100, 500), (0, 1, 100, 500)]
    assert [row[:1] for row in after[:2]] == before
    first = before[0]
    assert rows_of(path, "SELECT columns FROM chunk_columns WHERE chunk_id = ?", first) == [(pack(b"more"),)]
    assert rows_of(
        path, "SELECT function, calls, max_ticks FROM chunk_function WHERE chunk_id = ?", first
    ) == [(0, 150, 500), (1, 90, 900), (2, 10, 1)]


def test_ids_of_chunks_rise_even_when_the_clock_goes_back(
    path: Path, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = writer.open_process(process_info()).process
    hour = 480_000
    for number, now in enumerate([hour * 3600, hour * 3600 + 3599, hour * 3600 - 7200, (hour + 1) * 3600]):
        monkeypatch.setattr("time.time", lambda now=now: float(now))
        writer.commit([Commit(process, 1, chunks=[chunk(number)])])
    first = hour << 28
    assert rows_of(path, "SELECT number, id FROM chunk ORDER BY number") == [
        (0, first),
        (1, first + 1),
        (2, first + 2),
        (3, first + (1 << 28)),
    ]


def test_a_later_commit_of_the_same_process_wins(path: Path, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    deep = progress(
        calls=5000,
        depth=5000,
        stack_parts=(StackPart(0, pack(frames(4096))), StackPart(1, pack(frames(904)))),
    )
    writer.commit(
        [
            Commit(process, 1, threads=[thread_info(name="early")], chunks=[chunk(0)], progress=[deep]),
            Commit(
                process,
                2,
                threads=[thread_info(name="late")],
                chunks=[chunk(0, rows=101)],
                progress=[progress()],
            ),
        ]
    )
    assert rows_of(path, "SELECT sequence, calls FROM process") == [(2, 100)]
    assert rows_of(path, "SELECT name FROM thread") == [("late",)]
    assert rows_of(path, "SELECT rows FROM chunk") == [(101,)]
    assert rows_of(path, "SELECT part FROM thread_stack") == [(0,)]


def test_commits_of_several_processes(path: Path, writer: Writer) -> None:
    processes = [writer.open_process(process_info(name)).process for name in ("a", "b", "c")]
    writer.commit([full_commit(process, sequence=process) for process in processes])
    assert rows_of(path, "SELECT id, sequence, calls FROM process") == [(n, n, 150) for n in processes]
    assert value_of(path, "SELECT count(*) FROM chunk") == 6
    # Three processes, but one file, whose places are stored once.
    assert value_of(path, "SELECT count(*) FROM module_file") == 1
    assert value_of(path, "SELECT count(*) FROM function") == 2


def test_thread_described_again_keeps_its_progress(path: Path, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    writer.commit([full_commit(process)])
    writer.commit([Commit(process, 8, threads=[thread_info(0, name="renamed", ended_ticks=12)])])
    assert rows_of(path, "SELECT name, ended_ticks, calls FROM thread WHERE number = 0") == [
        ("renamed", 12, 100)
    ]
    assert value_of(path, "SELECT calls FROM process") == 150


@pytest.mark.parametrize(
    ("depth", "parts"), [(0, []), (1, [0]), (4096, [0]), (4097, [0, 1]), (8192, [0, 1]), (8193, [0, 1, 2])]
)
def test_parts_above_the_depth_go(path: Path, writer: Writer, depth: int, parts: list[int]) -> None:
    process = writer.open_process(process_info()).process
    full = tuple(StackPart(part, pack(frames(4096, part))) for part in range(4))
    writer.commit(
        [Commit(process, 1, threads=[thread_info()], progress=[progress(depth=4 * 4096, stack_parts=full)])]
    )
    writer.commit([Commit(process, 2, progress=[progress(depth=depth, stack_parts=())])])
    assert rows_of(path, "SELECT part FROM thread_stack ORDER BY part") == [(part,) for part in parts]


def test_end_of_a_process(path: Path, writer: Writer) -> None:
    first, second = (writer.open_process(process_info(name)).process for name in ("a", "b"))
    exited = ProcessEnd(ProcessState.EXITED, exit_code=3, signal=None, ended_at_ns=1_700_000_009)
    killed = ProcessEnd(ProcessState.KILLED, exit_code=None, signal=9, ended_at_ns=1_700_000_010)
    writer.commit([Commit(first, 5, end=exited), Commit(second, 6, end=killed)])
    assert rows_of(path, "SELECT state, exit_code, signal, ended_at_ns, sequence FROM process") == [
        ("exited", 3, None, 1_700_000_009, 5),
        ("killed", None, 9, 1_700_000_010, 6),
    ]
    assert writer.open_process(process_info("a")).ended


def test_equal_losses_are_counted_and_a_resend_is_not(path: Path, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    loss = Loss(thread=0, kind=2, call=0, ticks=5, count=0x401000)
    commit = Commit(process, 1, threads=[thread_info()], losses=[loss, loss, replace(loss, ticks=6)])
    writer.commit([commit])
    writer.commit([commit])
    assert rows_of(path, "SELECT ticks, times FROM loss ORDER BY ticks") == [(5, 2), (6, 1)]


def test_sequence_never_goes_back(path: Path, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    for sequence in (5, 3):
        writer.commit([Commit(process, sequence)])
    assert value_of(path, "SELECT sequence FROM process") == 5


def test_numbers_of_64_bits(path: Path, writer: Writer) -> None:
    process = writer.open_process(process_info(start_time_jiffies=MAX_U64)).process
    thread = thread_info(started_ticks=MAX_U64, stack_base=1 << 63, tid=2**32 - 1, number=2**32 - 1)
    step = progress(
        2**32 - 1, calls=(1 << 63) - 1, last_ticks=1 << 63, ring_end=MAX_U64, depth=0, stack_parts=()
    )
    module = module_info(2**32 - 1, load_bias=MAX_U64)
    loss = Loss(thread=2**32 - 1, kind=4, call=MAX_U64, ticks=1 << 63, count=MAX_U64)
    long = chunk(thread=2**32 - 1, end_ticks=MAX_U64, functions=((2**32 - 1, 65536, MAX_U64),))
    writer.commit(
        [
            Commit(
                process,
                (1 << 63) - 1,
                threads=[thread],
                progress=[step],
                modules=[module],
                losses=[loss],
                chunks=[long],
            )
        ]
    )
    saved = writer.open_process(process_info())
    assert saved.sequence == (1 << 63) - 1
    assert saved.threads == (thread,)
    assert saved.modules == (module,)
    assert saved.progress == (replace(step, profile=b""),)
    assert rows_of(path, "SELECT ticks, count FROM loss") == [(-(1 << 63), -1)]
    assert rows_of(path, "SELECT max_ticks FROM chunk") == [(-1,)]


def test_text_that_databases_do_not_take(path: Path, writer: Writer) -> None:
    process = writer.open_process(
        process_info(executable="/tmp/\udcff\0x", arguments=("a\0b", "\udc80", "é"))
    ).process
    writer.commit([Commit(process, 1, threads=[thread_info(name="\0"), thread_info(1, name="naïve 🙂")])])
    assert value_of(path, "SELECT executable FROM process") == r"/tmp/\udcff\x00x"
    assert rows_of(path, "SELECT name FROM thread") == [(r"\x00",), ("naïve 🙂",)]


def test_module_without_build_id_is_the_process_s_own(path: Path, writer: Writer) -> None:
    modules = [module_info(0, build_id=b""), module_info(1, build_id=b"", path="/lib/\udcff.so")]
    for name in ("a", "b"):
        process = writer.open_process(process_info(name)).process
        writer.commit([Commit(process, 1, modules=modules)])
    assert rows_of(path, "SELECT process_id, number, module_file_id FROM process_module ORDER BY 1, 2") == [
        (1, 0, 2),
        (1, 1, 1),
        (2, 0, 4),
        (2, 1, 3),
    ]


def test_file_is_where_it_was_seen_last(path: Path, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    for number, place in enumerate(("/old/prog", "/new/prog")):
        writer.commit([Commit(process, 1, modules=[module_info(number, path=place, build_id=b"same")])])
    assert rows_of(path, "SELECT path FROM module_file") == [("/new/prog",)]
    assert rows_of(path, "SELECT path FROM process_module ORDER BY number") == [
        ("/old/prog",),
        ("/new/prog",),
    ]


def wrong_commits(process: int) -> dict[str, Commit]:
    return {
        "process 99 is not in the database": Commit(99, 1),
        "1 threads that were never described": Commit(process, 8, progress=[progress(7)]),
        "module 5, which process 1 does not have": Commit(process, 8, sites=[site(9, module=5)]),
        "FOREIGN KEY constraint failed": Commit(process, 8, losses=[Loss(7, 4, 0, 1, 1)]),
        "too large to convert": Commit(process, 8, threads=[thread_info(5, tid=1 << 70)]),
    }


@pytest.mark.parametrize("message", wrong_commits(1))
def test_wrong_commit_leaves_nothing_of_any(path: Path, writer: Writer, message: str) -> None:
    process = writer.open_process(process_info()).process
    writer.commit([full_commit(process)])
    other = writer.open_process(process_info("two")).process
    before = contents(path)
    with pytest.raises(StoreError, match=message) as caught:
        writer.commit([full_commit(other), wrong_commits(process)[message]])
    assert "\n" not in str(caught.value)
    assert contents(path) == before
    writer.commit([full_commit(other)])
    assert value_of(path, "SELECT count(*) FROM chunk") == 4


def limit_pages(writer: Writer, pages: int) -> None:
    """Makes SQLite find the disk full when the file has so many pages."""
    with writer._engine.connect() as connection:
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))


def test_disk_full_and_room_again(path: Path, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    writer.commit([full_commit(process)])
    before = contents(path)
    limit_pages(writer, value_of(path, "PRAGMA page_count") + 4)
    big = Commit(process, 8, threads=[thread_info(3)], chunks=[chunk(1), chunk(2, columns=bytes(100_000))])
    for _ in range(2):
        with pytest.raises(
            StoreError, match=r"cannot write to .*: database or disk is full; free some space"
        ):
            writer.commit([big])
        assert contents(path) == before
    limit_pages(writer, 1_000_000)
    writer.commit([big])
    assert value_of(path, "SELECT count(*) FROM chunk") == 4
    assert value_of(path, "SELECT threads FROM process") == 3


def test_locked_then_free(path: Path) -> None:
    with Writer(str(path), busy_timeout_s=0.05) as writer:
        process = writer.open_process(process_info()).process
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="database is locked"):
                writer.commit([full_commit(process)])
            # What only reads does not wait.
            assert writer.unnamed() == []
            assert writer.open_process(process_info()).process == process
            other.execute("ROLLBACK")
        writer.commit([full_commit(process)])
        assert value_of(path, "SELECT count(*) FROM chunk") == 2


def test_threads_share_a_writer(path: Path, writer: Writer) -> None:
    errors: list[BaseException] = []

    def work(name: str) -> None:
        try:
            process = writer.open_process(process_info(name)).process
            for number in range(20):
                threads, step = [thread_info()], [progress(calls=(number + 1) * 100)]
                writer.commit(
                    [Commit(process, number, threads=threads, chunks=[chunk(number)], progress=step)]
                )
                writer.unnamed()
        except BaseException as error:  # noqa: BLE001 shown by the test
            errors.append(error)

    workers = [threading.Thread(target=work, args=(f"{number}",)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []
    assert rows_of(path, "SELECT calls, sequence FROM process") == [(2000, 19)] * 4
    assert rows_of(path, "SELECT count(*), count(DISTINCT id) FROM chunk") == [(80, 80)]


def test_two_collectors_share_a_file(path: Path, writer: Writer) -> None:
    with Writer(str(path), busy_timeout_s=5) as second:
        a = writer.open_process(process_info("a")).process
        b = second.open_process(process_info("b")).process
        for number in range(5):
            writer.commit([Commit(a, number, chunks=[chunk(number)])])
            second.commit([Commit(b, number, chunks=[chunk(number)])])
        assert second.open_process(process_info("a")).process == a
    assert rows_of(path, "SELECT process_id, count(*) FROM chunk GROUP BY 1") == [(a, 5), (b, 5)]


def test_size_per_call(path: Path) -> None:
    """With chunks as large as they get and 200 functions in each, all that is not columns is little."""
    rows, bytes_per_call = 65536, 4.5
    noise = bytes(range(256)) * (int(rows * bytes_per_call) // 256)
    functions = tuple((function, rows // 200, 123_456_789 + function) for function in range(200))
    with Writer(str(path)) as writer:
        process = writer.open_process(process_info()).process
        for number in range(8):
            its = chunk(number, rows=rows, columns=noise, functions=functions, first_call=1 + number * rows)
            writer.commit([Commit(process, number, chunks=[its])])
    assert path.stat().st_size / (8 * rows) < 5.5


def test_nothing_to_commit(writer: Writer) -> None:
    writer.commit([])


def test_progress_without_a_profile_keeps_the_one_before(path: Path, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    writer.commit([full_commit(process)])
    writer.commit([Commit(process, 8, progress=[progress(0, calls=200, profile=b"")])])
    assert rows_of(path, "SELECT profile FROM thread_profile WHERE thread = 0") == [(pack(b"profile of 0"),)]
    assert value_of(path, "SELECT calls FROM thread WHERE number = 0") == 200


def test_a_process_takes_what_is_its_own_with_it(path: Path, writer: Writer) -> None:
    for name in ("a", "b"):
        writer.commit([full_commit(writer.open_process(process_info(name)).process)])
    with writer._engine.begin() as connection:
        connection.execute(text("DELETE FROM process WHERE id = 1"))
    its_own = set(TABLES) - {"host", "module_file", "function", "call_site", "process"}
    for table in its_own - {"chunk", "chunk_columns", "chunk_values", "chunk_function"}:
        assert rows_of(path, f"SELECT DISTINCT process_id FROM {table}") == [(2,)], table


def test_writer_is_a_sink(writer: Writer) -> None:
    sink: Sink = writer  # the type checker's assertion
    assert sink.unnamed() == []
