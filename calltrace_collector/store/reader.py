"""The reader: what queries get out of the database."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from sqlalchemy import URL, Connection

from calltrace_collector.model.capture import Layout
from calltrace_collector.model.clock import Clock
from calltrace_collector.model.commit import Loss
from calltrace_collector.model.crash import CrashFrame
from calltrace_collector.model.process import ClockReading, ModuleInfo
from calltrace_collector.store import migrate
from calltrace_collector.store.batches import batches
from calltrace_collector.store.chunk_filter import ChunkFilter
from calltrace_collector.store.engine import BUSY_TIMEOUT_S, failures, open_engine
from calltrace_collector.store.location import database_url
from calltrace_collector.store.read import chunks, crashes, functions, plans, processes, saved, threads
from calltrace_collector.store.records import (
    Chunk,
    ChunkHead,
    FunctionInChunk,
    FunctionRecord,
    ProcessPlan,
    ProcessRecord,
    SiteRecord,
    StoredCrash,
    ThreadRecord,
)

# Chunks are about 300 kB: a few at once make up for the statement, and memory stays flat.
_CHUNKS_AT_ONCE = 8
_LOSSES_AT_ONCE = 1000
_EVERYTHING = ChunkFilter()


class Reader:
    """A database open for reading. Threads may share it.

    `process` is always the store's id of one (ProcessRecord.id), `thread` a thread's number within it. Each
    method sees what was committed when it was called, and an iterator what is committed as it goes, so that a
    long walk does not keep SQLite's log from being folded into the file. All of them raise StoreError.
    """

    def __init__(self, url: str | URL | None = None, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        """Opens the database; nothing is ever written to it.

        Args:
            url: as in location.database_url.
            busy_timeout_s: how long SQLite waits where even a reader has to: while a log is recovered.

        Raises:
            StoreError: it isn't there, or not of this version's schema.
        """
        self.url = url if isinstance(url, URL) else database_url(url)
        self._engine = open_engine(self.url, read_only=True, busy_timeout_s=busy_timeout_s)
        migrate.require_current(self._engine)

    def processes(
        self,
        *,
        process: int | None = None,
        pid: int | None = None,
        host: str | None = None,
        limit: int | None = None,
    ) -> list[ProcessRecord]:
        """Returns the processes that match all that is given, newest first, at most `limit`.

        Args:
            process: the store's id.
            pid: the process id on its host.
            host: the host's name or machine id.
            limit: None: all.
        """
        with self._connection() as connection:
            return processes.processes(connection, process=process, pid=pid, host=host, limit=limit)

    def crashes(
        self,
        *,
        process: int | None = None,
        pid: int | None = None,
        host: str | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
        limit: int | None = None,
    ) -> list[StoredCrash]:
        """Returns the crashes that match all that is given, newest first, at most `limit`.

        Args:
            process: the store's id of the process.
            pid: the process id on its host.
            host: the host's name or machine id.
            since_ns: at this time or later, in nanoseconds since the epoch.
            until_ns: at this time or earlier.
            limit: None: all.
        """
        with self._connection() as connection:
            return crashes.crashes(
                connection,
                process=process,
                pid=pid,
                host=host,
                since_ns=since_ns,
                until_ns=until_ns,
                limit=limit,
            )

    def crash_frames(self, process: int) -> list[CrashFrame]:
        """Returns the stack trace of a process's crash, innermost frame first."""
        with self._connection() as connection:
            return crashes.frames(connection, process)

    def crash_message(self, process: int) -> bytes | None:
        """Returns the agent's message about a process's crash, encoded; None: there is none."""
        with self._connection() as connection:
            return crashes.encoded(connection, process)

    def threads(self, process: int) -> list[ThreadRecord]:
        """Returns the threads of a process, in the order of their numbers."""
        with self._connection() as connection:
            return threads.threads(connection, process)

    def modules(self, process: int) -> tuple[ModuleInfo, ...]:
        """Returns the modules of a process, in the order of their numbers."""
        with self._connection() as connection:
            return saved.modules(connection, process)

    def functions(self, process: int) -> list[FunctionRecord]:
        """Returns the functions that a process entered, in the order of their numbers."""
        with self._connection() as connection:
            return functions.functions(connection, process)

    def sites(self, process: int) -> list[SiteRecord]:
        """Returns the sites of a process, in the order of their numbers."""
        with self._connection() as connection:
            return functions.sites(connection, process)

    def clock_readings(self, process: int) -> list[ClockReading]:
        """Returns what a process's clocks showed, in the order of ticks."""
        with self._connection() as connection:
            return processes.clock_readings(connection, process)

    def clock(self, process: int) -> Clock:
        """Returns what turns a process's ticks into times.

        Where a single reading doesn't tell the rate of its ticks, that of other processes since the same boot
        of the same machine is used.
        """
        with self._connection() as connection:
            found = processes.processes(connection, process=process, pid=None, host=None, limit=1)
            ticks_are_ns = bool(found and found[0].ticks_are_ns)
            readings = processes.clock_readings(connection, process)
            others = processes.boot_readings(connection, process) if len(readings) < 2 else []
        return Clock(readings, ticks_are_ns=ticks_are_ns, rate_readings=others)

    def chunk_heads(self, process: int, thread: int, wanted: ChunkFilter = _EVERYTHING) -> list[ChunkHead]:
        """Returns the chunks of a thread that pass the filter, in the order of their numbers."""
        with self._connection() as connection:
            return chunks.chunk_heads(connection, process, thread, wanted)

    def late_heads(
        self, process: int, thread: int, *, first_call: int, last_call: int, after: int = -1
    ) -> list[ChunkHead]:
        """Returns the chunks of a thread whose late rows may be of calls numbered first_call to last_call.

        Args:
            process: the store's id.
            thread: the thread's number.
            first_call: smallest number of an open row of a chunk, say.
            last_call: largest number.
            after: only chunks with numbers above it; late rows stand in a later chunk than their call's own.
        """
        with self._connection() as connection:
            return chunks.late_heads(connection, process, thread, first_call, last_call, after)

    def chunks(self, heads: Sequence[ChunkHead]) -> Iterator[Chunk]:
        """Yields chunks with their columns, in the order of the heads, a few in memory at a time.

        Use the head that comes with the columns: a chunk that its thread is still filling may have grown
        since its head was read. One that was deleted meanwhile is left out.
        """
        for some in batches(heads, _CHUNKS_AT_ONCE):
            with self._connection() as connection:
                found = chunks.chunks(connection, [head.id for head in some])
            yield from found

    def chunk_with_values(self, head: ChunkHead) -> Chunk | None:
        """Returns a chunk with its columns and values; None where it was deleted meanwhile."""
        with self._connection() as connection:
            return chunks.chunk_with_values(connection, head.id)

    def functions_in_chunks(self, process: int, functions: Collection[int]) -> list[FunctionInChunk]:
        """Returns what each chunk holds of the functions with these numbers, by function, then chunk."""
        with self._connection() as connection:
            return chunks.functions_in_chunks(connection, process, functions)

    def profiles(self, process: int) -> dict[int, bytes]:
        """Returns the profiles of a process's threads as ct_profile_decode takes them, by thread."""
        with self._connection() as connection:
            return saved.profiles(connection, process)

    def plans(self, process: int) -> list[ProcessPlan]:
        """Returns by which plans a process's values were captured, in the order of their layouts' numbers."""
        with self._connection() as connection:
            return plans.plans(connection, process)

    def layouts(self, capture_plan: int) -> tuple[Layout, ...]:
        """Returns the layouts of a plan (ProcessPlan.capture_plan)."""
        with self._connection() as connection:
            return plans.layouts(connection, capture_plan)

    def stack(self, process: int, thread: int) -> bytes:
        """Returns the open calls of a thread, outermost first: packed struct ct_frame records."""
        with self._connection() as connection:
            return saved.stack(connection, process, thread)

    def losses(self, process: int, thread: int | None = None) -> Iterator[Loss]:
        """Yields the gaps in the trace of a process or of one thread, in the order of thread and ticks."""
        after = threads.FIRST_LOSS
        while True:
            with self._connection() as connection:
                found = threads.losses(connection, process, thread, after, _LOSSES_AT_ONCE)
            for loss, times in found:
                for _ in range(times):
                    yield loss
            if len(found) < _LOSSES_AT_ONCE:
                return
            last = found[-1][0]
            after = (last.thread, last.ticks, last.call, last.kind, last.count)

    def close(self) -> None:
        """Closes the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with failures(self._engine, "read"), self._engine.connect() as connection:
            yield connection
