"""Threads, and stacks that count as threads, as they come, end and are committed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calltrace_collector.core.recovery import ThreadStack
from calltrace_collector.core.trace import Trace
from calltrace_collector.errors import ProtocolError
from calltrace_collector.ingest.thread_table import MAX_THREADS, ThreadTable
from calltrace_collector.model.process import ThreadInfo

THREAD = ThreadInfo(
    number=0, tid=77, name="name", started_ticks=5, ended_ticks=0, stack_base=1 << 16, creator_tid=0
)
STACK = replace(THREAD, number=1, stack_base=1 << 20, stack_of=0, stack_bytes=4096)


@pytest.fixture
def table() -> ThreadTable:
    return ThreadTable(Trace(), 1234)


def test_stacks_end_with_their_thread(table: ThreadTable) -> None:
    table.take(THREAD)
    table.take(STACK)
    assert table.stacks_of(0) == [ThreadStack(1, 1 << 20, 4096)]
    assert table.commit_threads() == [THREAD, STACK]
    ended = replace(THREAD, ended_ticks=9)
    table.take(ended)
    assert table.commit_threads() == [ended, replace(STACK, ended_ticks=9)]
    table.commit_progress()
    assert table.stacks_of(0) == []
    assert table.commit_threads() == []


def test_what_a_ring_says_of_a_thread_that_has_ended_is_no_news(table: ThreadTable) -> None:
    assert table.take_left(THREAD)
    assert table.take_left(THREAD)
    assert table.commit_threads() == [THREAD]
    ended = replace(THREAD, ended_ticks=9)
    assert table.take_left(replace(ended, name="another"))
    assert table.commit_threads() == [ended]
    table.commit_progress()
    assert not table.take_left(THREAD)
    assert table.commit_threads() == []


def test_too_many_threads_are_refused(table: ThreadTable) -> None:
    with pytest.raises(ProtocolError, match="process 1234 told of more than"):
        table.take(replace(THREAD, number=MAX_THREADS))
    assert table.commit_threads() == []
