from __future__ import annotations

import random
from pathlib import Path

import pytest
import zstandard

from calltrace_collector import wire
from calltrace_collector.errors import ProtocolError
from calltrace_collector.ingest.session import IngestSession
from calltrace_collector.model.commit import Commit, CrashRow, Place, SavedProcess
from calltrace_collector.model.process import ClockReading
from calltrace_collector.store.writer import Writer
from tests.support.crash_samples import crash_record
from tests.unit.ingest.builders import CALL_SITE, FUNCTION, Script, process_info

NEW = SavedProcess(process=1, sequence=0, ended=False)


def session() -> IngestSession:
    return IngestSession(process_info(), NEW)


def commit_of(taken: IngestSession) -> Commit:
    commit = taken.take_commit()
    assert commit is not None
    return commit


def test_messages_become_one_commit() -> None:
    script, taking = Script(), session()
    for message in (script.module(0, 0x400000), script.thread(), script.batch(1, 1, 0, 0, new_sites=1)):
        taking.receive(message)
    commit = commit_of(taking)
    assert commit.sequence == 3
    assert [module.path for module in commit.modules] == ["/lib/0.so"]
    assert [(site.function_address, site.function_place) for site in commit.sites] == [
        (FUNCTION, Place(0, FUNCTION - 0x400000))
    ]
    assert [chunk.rows for chunk in commit.chunks] == [2]
    assert [(progress.calls, progress.depth) for progress in commit.progress] == [(2, 0)]
    assert taking.take_commit() is None


def test_captured_values_are_committed() -> None:
    script, taking = Script(), session()
    for message in (script.thread(), script.batch(1, 0, 1, new_sites=1, values=[b"entry", b"exit!!", b""])):
        taking.receive(message)
    (chunk,) = commit_of(taking).chunks
    assert zstandard.decompress(chunk.values) == b"\1\0\5entry\0\6exit!!"
    taking.receive(script.batch(0))
    (late,) = commit_of(taking).chunks
    assert late.number == chunk.number
    assert late.values == chunk.values


def test_captured_values_count_as_waiting() -> None:
    """So that a program that captures more than the database takes is made to wait."""
    script, taking = Script(), session()
    values = [random.Random(at).randbytes(4096) for at in range(1200)]
    for message in (script.thread(), script.batch(*[1, 0] * 600, new_sites=1, values=values)):
        taking.receive(message)
    assert 4 << 20 < taking.pending_bytes < 5 << 20


def test_what_was_taken_before_is_passed_over() -> None:
    script, taking = Script(), session()
    messages = [script.thread(), script.batch(1, 0, new_sites=1), script.batch(1)]
    for message in messages + messages:
        taking.receive(message)
    assert commit_of(taking).progress[0].calls == 2
    assert taking.received == 3


def test_a_missing_message_is_refused() -> None:
    script, taking = Script(), session()
    script.thread()
    with pytest.raises(ProtocolError, match="message 2 after 0"):
        taking.receive(script.batch(1, new_sites=1))


def test_a_refused_batch_leaves_nothing_behind() -> None:
    script, taking = Script(), session()
    taking.receive(script.thread())
    with pytest.raises(ProtocolError):
        taking.receive(script.batch(0))
    assert taking.received == 1
    commit = commit_of(taking)
    assert not commit.chunks
    assert commit.progress == []


def test_an_address_means_the_module_that_was_there_when_it_was_seen() -> None:
    script, taking = Script(), session()
    taking.receive(script.thread())
    taking.receive(script.module(0, 0x400000))
    taking.receive(script.batch(1, 0, new_sites=1))
    taking.receive(script.module(0, 0x400000, unloaded_ticks=9))
    taking.receive(script.module(1, 0x400000))
    taking.receive(script.batch(2, 0, new_sites=1))
    sites = commit_of(taking).sites
    assert [(site.function, site.function_place) for site in sites] == [
        (0, Place(0, FUNCTION - 0x400000)),
        (1, Place(1, FUNCTION - 0x400000)),
    ]


def test_a_session_goes_on_where_the_store_left_it(tmp_path: Path) -> None:
    ops = [1, 2, 2, 0, 1, 0, 0, 2]
    rest = [0, 1, 0, 0, 2, 0]
    whole_script, whole = Script(), session()
    for message in (whole_script.thread(), whole_script.batch(*ops, new_sites=2), whole_script.batch(*rest)):
        whole.receive(message)

    with Writer(str(tmp_path / "calls.db")) as writer:
        script = Script()
        first = IngestSession(process_info(), writer.open_process(process_info()))
        first.receive(script.thread())
        first.receive(script.batch(*ops, new_sites=2))
        writer.commit([commit_of(first)])
        saved = writer.open_process(process_info())
        assert saved.sequence == 2
        second = IngestSession(process_info(), saved)
        second.receive(script.batch(*rest))
        resumed = commit_of(second)
    expected = commit_of(whole)
    assert resumed.progress[0].calls == expected.progress[0].calls
    assert resumed.progress[0].depth == expected.progress[0].depth
    assert resumed.progress[0].profile == expected.progress[0].profile


def test_a_thread_that_has_ended_is_forgotten_and_still_counted() -> None:
    script, taking = Script(), session()
    taking.receive(script.thread())
    taking.receive(script.batch(1, 0, 1, new_sites=1))
    taking.receive(script.thread(ended_ticks=2000))
    assert commit_of(taking).progress[0].calls == 2
    assert taking.calls == 2
    with pytest.raises(ProtocolError):
        taking.receive(script.batch(0))


def test_what_was_forgotten_stays_so_when_another_collector_goes_on(tmp_path: Path) -> None:
    with Writer(str(tmp_path / "calls.db")) as writer:
        script = Script()
        first = IngestSession(process_info(), writer.open_process(process_info()))
        for message in (script.thread(), script.batch(1, 0, 1, new_sites=1), script.thread(ended_ticks=2000)):
            first.receive(message)
        writer.commit([commit_of(first)])
        second = IngestSession(process_info(), writer.open_process(process_info()))
    assert second.calls == 2
    assert second.take_commit() is None


def test_an_address_of_a_module_that_went_before_a_restart_is_another_function(tmp_path: Path) -> None:
    with Writer(str(tmp_path / "calls.db")) as writer:
        script = Script()
        first = IngestSession(process_info(), writer.open_process(process_info()))
        first.receive(script.thread())
        first.receive(script.module(0, 0x400000))
        first.receive(script.batch(1, 0, new_sites=1))
        first.receive(script.module(0, 0x400000, unloaded_ticks=9))
        writer.commit([commit_of(first)])
        second = IngestSession(process_info(), writer.open_process(process_info()))
        second.receive(script.module(1, 0x400000))
        second.receive(script.batch(2, 0, new_sites=1))
        (site,) = commit_of(second).sites
    assert (site.function, site.function_place) == (1, Place(1, FUNCTION - 0x400000))


@pytest.mark.parametrize("restarts", [False, True])
def test_what_was_at_an_address_before_a_module_is_another_function(tmp_path: Path, restarts: bool) -> None:
    with Writer(str(tmp_path / "calls.db")) as writer:
        script = Script()
        taking = IngestSession(process_info(), writer.open_process(process_info()))
        taking.receive(script.thread())
        taking.receive(script.batch(1, 0, new_sites=1))
        commit = commit_of(taking)
        assert [(site.function, site.function_place) for site in commit.sites] == [(0, None)]
        if restarts:
            writer.commit([commit])
            taking = IngestSession(process_info(), writer.open_process(process_info()))
        taking.receive(script.module(0, 0x400000))
        taking.receive(script.batch(2, 0, new_sites=1))
        # A module somewhere else changes nothing.
        taking.receive(script.module(1, 0x900000))
        taking.receive(script.batch(3, 0, new_sites=1))
        sites = commit_of(taking).sites
    place = Place(0, FUNCTION - 0x400000)
    assert [(site.function, site.function_place) for site in sites] == [(1, place), (1, place)]


# --- crashes ---


def test_a_crash_comes_with_the_calls_that_were_open() -> None:
    script, taking = Script(), session()
    # A call at 1010, one within it from 1020 to 1030, and one at 1040, which is after the crash.
    for message in (script.module(0, 0x400000), script.thread(), script.batch(1, 2, 0, 1, new_sites=2)):
        taking.receive(message)
    commit_of(taking)
    record = crash_record(thread=0, clock=ClockReading(1039, 600, 10**18 + 5))
    case = taking.receive_crash(record)
    assert [(call.call, call.function_address, call.call_site_address) for call in case.open_calls] == [
        (1, FUNCTION, CALL_SITE)
    ]
    assert [module.number for module in case.modules] == [0]
    commit = commit_of(taking)
    # The wall clock may be set meanwhile: the time is that of the first reading, and what passed since.
    assert commit.crash == case.crash == CrashRow(record, 10**18 + 100, None)
    assert commit.clocks == [record.clock]
    assert (case.process, case.pid) == (commit.process, 1234)


def test_a_crash_of_a_thread_that_nobody_knows() -> None:
    case = session().receive_crash(crash_record(thread=5, clock=ClockReading(2000, 600, 10**18)))
    assert case.crash.record.thread is None
    assert case.open_calls == ()


def test_a_crash_of_a_thread_that_has_ended() -> None:
    script, taking = Script(), session()
    taking.receive(script.thread())
    taking.receive(script.thread(ended_ticks=1500))
    commit_of(taking)
    case = taking.receive_crash(crash_record(thread=0, clock=ClockReading(1200, 600, 10**18)))
    assert case.crash.record.thread is None


@pytest.mark.parametrize("clock", [ClockReading(999, 600, 1), ClockReading(2000, 499, 1)])
def test_a_crash_of_before_the_beginning_is_refused(clock: ClockReading) -> None:
    taking = session()
    with pytest.raises(ProtocolError, match="recorded a crash of before it began"):
        taking.receive_crash(crash_record(clock=clock))
    assert commit_of(taking).crash is None


@pytest.mark.parametrize(
    ("stack_pointer", "number"),
    [(0x50FFF, 9), (0x50000, 9), (0x4FFFF, 0), (0x51000, 0), (0x7FFF_0000, 0), (None, 0)],
)
def test_a_crash_on_another_stack_of_its_thread(stack_pointer: int | None, number: int) -> None:
    script, taking = Script(), session()
    taking.receive(script.thread())
    batch = wire.EventBatch(
        ring_end=4,
        base_ticks=1000,
        sites=[wire.Site(function_address=FUNCTION, call_site_address=CALL_SITE)],
        dt=[10, 10],
        op=[1, 1],
        stacks=[{"thread": 9, "stack_base": 0x51000, "size_bytes": 0x1000}],  # type: ignore[list-item]
        marks=[wire.Mark(index=1, kind=wire.Mark.SWITCHED, value=9)],
    )
    taking.receive(wire.AgentMessage(sequence=2, batch=batch).SerializeToString())
    registers = [0] * 17
    registers[7] = stack_pointer or 0
    record = crash_record(
        thread=0,
        clock=ClockReading(1100, 600, 10**18),
        registers=() if stack_pointer is None else tuple(registers),
    )
    case = taking.receive_crash(record)
    assert case.crash.record.thread == number
    assert len(case.open_calls) == 1


def test_a_thread_that_has_only_been_told_of_is_carried_on(tmp_path: Path) -> None:
    script = Script()
    with Writer(str(tmp_path / "calls.db")) as writer:
        first = IngestSession(process_info(), writer.open_process(process_info()))
        first.receive(script.thread())
        writer.commit([commit_of(first)])
        second = IngestSession(process_info(), writer.open_process(process_info()))
        second.receive(script.batch(1, 0, new_sites=1))
        assert second.calls == 1
