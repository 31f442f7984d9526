"""What a forked process has from its parent, and when it returns from it."""

from __future__ import annotations

import pytest

from calltrace_collector.query.inherited import Inheritance, inheritance
from calltrace_collector.query.recording import Recording
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.support.synthetic import START_TICKS, TICKS_PER_NS, Synthetic, function

FUNCTIONS = [function("main"), function("outer"), function("work"), function("leaf")]
FORK_NS = 30


def address(name: str) -> int:
    """Of a function in every synthetic process."""
    names = [each.name for each in FUNCTIONS]
    return 0x5555_0000_1000 + 16 * names.index(name)


def parent(writer: Writer) -> Synthetic:
    """Forks within main > outer > work, at FORK_NS."""
    process = Synthetic(writer, FUNCTIONS, session="parent", pid=100)
    for name in ("main", "outer", "work"):
        process.enter(name, 5)
    process.enter("leaf", 5)
    process.leave(5)
    process.enter("leaf", 10)  # after the fork
    process.leave(5, calls=4)
    process.end()
    return process


def child(writer: Writer, **changes: object) -> Synthetic:
    fork: dict[str, object] = {
        "pid": 100,  # its thread's id
        "parent_session_id": b"parent".ljust(16, b"."),
        "parent_thread": 0,
        "fork_ticks": START_TICKS + FORK_NS * TICKS_PER_NS,
    }
    return Synthetic(
        writer, FUNCTIONS, threads=1, chunk_rows=8, session="child", plan=None, **(fork | changes)
    )


def inherited_by(reader: Reader, process: Synthetic) -> Inheritance:
    (record,) = reader.processes(process=process.process)
    recording = Recording(reader, record)
    return inheritance(recording, recording.threads[0])


def names(inherited: Inheritance) -> list[str]:
    return [call.function.name for call in inherited.calls]


def test_the_calls_that_were_open_at_the_fork(writer: Writer, reader: Reader) -> None:
    began = parent(writer)
    forked = child(writer)
    forked.enter("leaf", 20)
    forked.leave(5)
    forked.end()
    inherited = inherited_by(reader, forked)
    assert names(inherited) == ["main", "outer", "work"]
    assert {(call.process, call.thread, call.end_ticks) for call in inherited.calls} == {
        (began.process, 0, None)
    }
    assert [call.call for call in inherited.calls] == [1, 2, 3]
    assert inherited.depth_at(START_TICKS + 1000) == 3


def test_the_child_returns_from_them(writer: Writer, reader: Reader) -> None:
    parent(writer)
    forked = child(writer)
    forked.enter("leaf", 20)
    forked.leave(5)
    after_leaf = START_TICKS + 25 * TICKS_PER_NS
    forked.mark("ORPHAN_EXIT", address("work"))
    forked.enter("leaf", 5)
    forked.leave(5)
    forked.mark("ORPHAN_EXIT", address("leaf"))  # of no call that was open
    forked.mark("ORPHAN_EXIT", address("main"))  # a jump has left outer
    forked.end()
    inherited = inherited_by(reader, forked)
    end = after_leaf + 10 * TICKS_PER_NS
    assert [(call.function.name, call.end_ticks) for call in inherited.calls] == [
        ("main", end),
        ("outer", end),
        ("work", after_leaf),
    ]
    assert [inherited.depth_at(ticks) for ticks in (after_leaf - 1, after_leaf, end - 1, end)] == [3, 2, 2, 0]
    innermost = inherited.innermost_at(after_leaf)
    assert innermost is not None
    assert innermost.function.name == "outer"
    assert inherited.innermost_at(end) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"parent_thread": None},
        {"parent_thread": 7},
        {"parent_session_id": b""},
        {"parent_session_id": b"never stored...."},
        {"pid": 101},  # then thread 100 is not the one that forked it
    ],
    ids=["by clone", "thread unknown", "not forked", "parent unknown", "another thread"],
)
def test_nothing_where_nobody_knows(writer: Writer, reader: Reader, changes: dict[str, object]) -> None:
    parent(writer)
    forked = child(writer, **changes)
    forked.enter("leaf", 20)
    forked.end()
    assert names(inherited_by(reader, forked)) == []


def test_a_grandchild_has_what_its_parent_still_had(writer: Writer, reader: Reader) -> None:
    parent(writer)
    forked = child(writer)
    forked.mark("ORPHAN_EXIT", address("work"))
    forked.enter("leaf", 50)
    forked.leave(50)
    forked.end()
    grandchild = Synthetic(
        writer,
        FUNCTIONS,
        session="grandchild",
        pid=100,
        parent_session_id=b"child".ljust(16, b"."),
        parent_thread=0,
        fork_ticks=START_TICKS + 70 * TICKS_PER_NS,
    )
    grandchild.enter("work", 90)
    grandchild.end()
    assert names(inherited_by(reader, grandchild)) == ["main", "outer", "leaf"]
