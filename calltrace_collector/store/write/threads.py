"""Threads: what they are, how far they have come, their open calls, their profiles, their losses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache

from sqlalchemy import Connection, Delete, Update, bindparam, delete, update

from calltrace_collector.errors import StoreError
from calltrace_collector.model.commit import STACK_PART_FRAMES, Commit, ThreadProgress
from calltrace_collector.store import models
from calltrace_collector.store.write.upsert import upsert


def store_threads(connection: Connection, commits: Sequence[Commit]) -> None:
    """Stores what threads are; how far they have come stays as it is."""
    rows = [
        {
            "process_id": commit.process,
            "number": thread.number,
            "tid": thread.tid,
            "name": thread.name,
            "started_ticks": thread.started_ticks,
            "ended_ticks": thread.ended_ticks,
            "stack_base": thread.stack_base,
            "creator_tid": thread.creator_tid,
            "stack_of": thread.stack_of,
            "stack_bytes": thread.stack_bytes,
        }
        for commit in commits
        for thread in commit.threads
    ]
    upsert(connection, models.Thread, rows)


def store_progress(connection: Connection, commits: Sequence[Commit]) -> None:
    """Stores how far threads have come; StoreError where one was never stored. No profile: no new one."""
    steps = [(commit.process, step) for commit in commits for step in commit.progress]
    if not steps:
        return
    updated = connection.execute(_thread_update(), [_progress_row(*step) for step in steps]).rowcount
    if updated != len(steps):
        raise StoreError(
            f"calls of {len(steps) - updated} threads that were never described to the collector"
        )
    _store_stacks(connection, steps)
    profiles = [
        {"process_id": process, "thread": step.thread, "profile": step.profile}
        for process, step in steps
        if step.profile
    ]
    upsert(connection, models.ThreadProfile, profiles)


def _progress_row(process: int, step: ThreadProgress) -> dict[str, int]:
    return {
        "its_process": process,
        "its_number": step.thread,
        "calls": step.calls,
        "last_ticks": step.last_ticks,
        "ring_end": step.ring_end,
        "dropped": step.dropped,
        "orphan_exits": step.orphan_exits,
        "cut": step.cut,
        "folded": step.folded,
        "depth": step.depth,
        "next_chunk": step.next_chunk,
    }


@cache
def _thread_update() -> Update:
    return update(models.Thread).where(
        models.Thread.process_id == bindparam("its_process"), models.Thread.number == bindparam("its_number")
    )


def _store_stacks(connection: Connection, steps: Sequence[tuple[int, ThreadProgress]]) -> None:
    gone = [
        {"its_process": process, "its_thread": step.thread, "parts": -(-step.depth // STACK_PART_FRAMES)}
        for process, step in steps
    ]
    connection.execute(_stack_delete(), gone)
    rows = [
        {"process_id": process, "thread": step.thread, "part": part.part, "frames": part.frames}
        for process, step in steps
        for part in step.stack_parts
    ]
    upsert(connection, models.ThreadStack, rows)


@cache
def _stack_delete() -> Delete:
    return delete(models.ThreadStack).where(
        models.ThreadStack.process_id == bindparam("its_process"),
        models.ThreadStack.thread == bindparam("its_thread"),
        models.ThreadStack.part >= bindparam("parts"),
    )


def store_losses(connection: Connection, commits: Sequence[Commit]) -> None:
    """Stores gaps; the same gap again is stored once, equal gaps of one commit are counted."""
    counted = Counter(
        (commit.process, loss.thread, loss.ticks, loss.call, loss.kind, loss.count)
        for commit in commits
        for loss in commit.losses
    )
    names = ("process_id", "thread", "ticks", "call", "kind", "count")
    rows = [{**dict(zip(names, key, strict=True)), "times": times} for key, times in counted.items()]
    upsert(connection, models.Loss, rows)
