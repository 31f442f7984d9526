"""The tally that tests/fixtures/tally.c keeps of its calls, and what is stored of them: they must agree."""

from __future__ import annotations

import sqlite3
import struct
import subprocess
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from calltrace_collector.model.process import CallStatus
from calltrace_collector.query.calls import Search
from calltrace_collector.query.filters import CallFilter
from calltrace_collector.query.processes import choose
from calltrace_collector.query.recording import Recording
from calltrace_collector.store.reader import Reader
from tests.support.collector import PATIENCE_S, Collector, wait_until

MAX_THREADS = 64
DEPTHS = 12
_DEPTHS_READ = 100
_THREAD = struct.Struct(f"<QQ{DEPTHS}QQQ")


@dataclass(frozen=True, slots=True)
class ThreadTally:
    """What a thread has counted: calls that are open, and calls made at each depth."""

    tid: int
    open: int
    made: tuple[int, ...]

    def calls(self, max_depth: int = 0) -> int:
        """How many calls are to be stored, given CALLTRACE_MAX_DEPTH."""
        return sum(self.made[: max_depth or DEPTHS])

    def open_calls(self, max_depth: int = 0) -> int:
        """How many of them are open."""
        return min(self.open, max_depth or DEPTHS)


@dataclass(frozen=True, slots=True)
class StoredThread:
    """What the database says of a thread."""

    tid: int
    calls: int
    open: int
    orphan_exits: int
    dropped: int


@dataclass(frozen=True, slots=True)
class StoredEnd:
    """How a process ended, and with how many calls, as the database says."""

    state: str
    exit_code: int | None
    signal: int | None
    calls: int


@dataclass(frozen=True, slots=True)
class StoredCalls:
    """A thread's calls one by one: how many at each depth, and how many of each status."""

    made: tuple[int, ...]
    statuses: dict[CallStatus, int]


class Tallied:
    """A running tally program; `limits` are options of prlimit(1)."""

    def __init__(
        self,
        collector: Collector,
        program: Path,
        file: Path,
        calls: int = 0,
        threads: int = 1,
        end: str = "return",
        *,
        limits: Sequence[str] = (),
        **environment: str,
    ) -> None:
        self.collector = collector
        self.file = file
        self.threads = threads
        self.max_depth = int(environment.get("CALLTRACE_MAX_DEPTH", "0"))
        file.write_bytes(bytes(MAX_THREADS * _THREAD.size))
        prefix = ["prlimit", *limits] if limits else []
        self.process: subprocess.Popen[str] = collector.spawn(
            *prefix, program, file, str(calls), str(threads), end, **environment
        )
        self.errors = ""

    @property
    def pid(self) -> int:
        """Of the program."""
        return self.process.pid

    def tallies(self) -> list[ThreadTally]:
        """What the threads that have begun have counted so far."""
        values = _THREAD.iter_unpack(self.file.read_bytes())
        return [ThreadTally(tid, open_, tuple(made)) for tid, open_, *made, _, _ in values if tid]

    def calls(self) -> int:
        """All calls that are to be stored."""
        return sum(tally.calls(self.max_depth) for tally in self.tallies())

    def wait_for(self, calls: int) -> None:
        """Waits until it has made so many calls."""
        wait_until(lambda: self.calls() >= calls or self.process.poll() is not None, f"{calls} calls")
        assert self.calls() >= calls, (self.process.communicate(), self.collector.log())

    def wait(self) -> int:
        """Waits for its end; returns its status."""
        try:
            _, self.errors = self.process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return self.process.returncode

    def kill(self) -> None:
        """Kills it with SIGKILL, and waits for its end."""
        self.process.kill()
        self.process.communicate()

    # --- what is stored ---

    def stored_end(self) -> StoredEnd | None:
        """How it ended; None while it is not stored as ended."""
        with closing(sqlite3.connect(self.collector.database)) as database:
            row = database.execute(
                "select state, exit_code, signal, calls from process where pid = ? and state <> 'running'",
                (self.pid,),
            ).fetchone()
        return StoredEnd(*row) if row else None

    def wait_for_end(self) -> StoredEnd:
        """Waits until its end is stored.

        Not by `calltrace ps`, which takes a processor to itself for half a second.
        """
        what = f"process {self.pid} to end in the database; {self.calls()} calls\n{self.collector.log()}"
        end: StoredEnd = wait_until(self.stored_end, what)
        return end

    def stored(self) -> dict[int, StoredThread]:
        """What the database says of the threads, by their ids."""
        with closing(sqlite3.connect(self.collector.database)) as database:
            rows = database.execute(
                "select tid, thread.calls, depth, orphan_exits, dropped from thread"
                " join process on process.id = process_id where pid = ?",
                (self.pid,),
            ).fetchall()
        return {row[0]: StoredThread(*row) for row in rows}

    def differences(self) -> list[int]:
        """For each thread how many calls are stored beyond those it counted.

        A thread that is stopped between recording a call and counting it leaves 1.
        """
        stored = self.stored()
        nothing = StoredThread(0, 0, 0, 0, 0)
        found = []
        for tally in self.tallies():
            thread = stored.get(tally.tid, nothing)
            assert (thread.orphan_exits, thread.dropped) == (0, 0), thread
            found.append(thread.calls - tally.calls(self.max_depth))
        return found

    def check_interrupted(self) -> list[int]:
        """Requires what it counted to be stored, give or take the event in flight; returns differences."""
        found = self.differences()
        assert all(0 <= difference <= 1 for difference in found), (found, self.collector.log())
        stored = self.stored()
        for tally in self.tallies():
            if tally.tid in stored:
                open_calls = stored[tally.tid].open
                assert abs(open_calls - tally.open_calls(self.max_depth)) <= 1, (tally, open_calls)
        return found

    def check_complete(self) -> None:
        """Requires just what it counted to be stored, and nothing to be open."""
        assert self.differences() == [0] * len(self.tallies()), self.collector.log()
        assert {thread.open for thread in self.stored().values()} == {0}

    def read_calls(self) -> dict[int, StoredCalls]:
        """Reads every stored call, by thread id; requires their numbers to be 1, 2, 3, ..."""
        found = {}
        with Reader(str(self.collector.database)) as reader:
            process = choose(reader, process=None, pid=self.pid).process
            recording = Recording(reader, process)
            for thread in recording.threads:
                search = Search(recording, thread, recording.matcher(CallFilter()))
                depths = np.zeros(_DEPTHS_READ, np.int64)
                statuses = np.zeros(len(CallStatus), np.int64)
                last = 0
                for block in search.blocks():
                    rows = block.rows
                    assert rows.call.tolist() == list(range(last + 1, last + 1 + len(rows)))
                    last += len(rows)
                    depths += np.bincount(rows.depth, minlength=_DEPTHS_READ)
                    statuses += np.bincount(rows.status, minlength=len(statuses))
                assert depths[DEPTHS:].sum() == 0, f"deeper than any call that was made: {depths}"
                by_status = dict(zip(CallStatus, statuses.tolist(), strict=True))
                found[thread.tid] = StoredCalls(tuple(depths.tolist()), by_status)
        return found

    def check_calls(self) -> None:
        """Reads every call, and requires each to be there once, at its depth, ended or open."""
        stored, read = self.stored(), self.read_calls()
        for tally in self.tallies():
            if tally.tid not in stored:
                assert tally.calls(self.max_depth) == 0
                continue
            thread, calls = stored[tally.tid], read[tally.tid]
            assert sum(calls.made) == thread.calls
            assert calls.statuses[CallStatus.OPEN] == thread.open
            ended = calls.statuses[CallStatus.RETURNED] + calls.statuses[CallStatus.CUT]
            assert ended + thread.open == thread.calls
            expected = tally.made[: self.max_depth or DEPTHS]
            beyond = [ours - own for ours, own in zip_longest(calls.made, expected, fillvalue=0)]
            assert sum(beyond) in {0, 1}, (tally, calls)
            assert set(beyond) <= {0, 1}, (tally, calls)
