"""The writer: what ingest sessions put into the database."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from sqlalchemy import URL, Connection

from calltrace_collector.model.capture import Plan
from calltrace_collector.model.commit import (
    CallSiteName,
    Commit,
    FunctionName,
    SavedProcess,
    UnnamedFile,
)
from calltrace_collector.model.process import ProcessInfo
from calltrace_collector.store import migrate
from calltrace_collector.store.engine import BUSY_TIMEOUT_S, checkpoint, failures, open_engine
from calltrace_collector.store.location import database_url
from calltrace_collector.store.read.saved import saved_process
from calltrace_collector.store.write.chunks import store_chunks
from calltrace_collector.store.write.crashes import store_crashes
from calltrace_collector.store.write.modules import store_modules, store_sites
from calltrace_collector.store.write.names import store_names, unnamed
from calltrace_collector.store.write.plans import pack_layouts, store_process_plan
from calltrace_collector.store.write.processes import (
    find_process,
    finish_commits,
    lock_processes,
    store_clocks,
    store_process,
)
from calltrace_collector.store.write.threads import store_losses, store_progress, store_threads


class Writer:
    """A database open for writing; implements model.commit.Sink. Threads may share it.

    Its methods raise StoreError; what failed left nothing behind, and may be tried again.
    """

    def __init__(self, url: str | URL | None = None, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        """Opens the database, makes it if it is an SQLite file that isn't there, and migrates an SQLite one.

        Args:
            url: as in location.database_url.
            busy_timeout_s: how long SQLite waits for another program's write transaction.

        Raises:
            StoreError: it cannot be opened or is not one of this version's.
        """
        self.url = url if isinstance(url, URL) else database_url(url)
        self._writing = threading.Lock()
        self._engine = open_engine(self.url, busy_timeout_s=busy_timeout_s)
        migrate.prepare(self._engine)
        # Reads go through connections of their own, so that they wait for no one's writing.
        self._reading_engine = open_engine(self.url, read_only=True, busy_timeout_s=busy_timeout_s)

    def open_process(self, info: ProcessInfo) -> SavedProcess:
        """Finds the process with this session id, or stores it."""
        with self._writing, failures(self._engine, "write to"):
            with self._reading_engine.connect() as connection:
                process = find_process(connection, info.session_id)
            if process is None:
                with self._engine.begin() as connection:
                    process = store_process(connection, info)
        with failures(self._engine, "read"), self._reading_engine.connect() as connection:
            return saved_process(connection, process)

    def commit(self, commits: list[Commit]) -> None:
        """Stores all of the commits in one transaction."""
        if not commits:
            return
        with self._writing, failures(self._engine, "write to"), self._engine.begin() as connection:
            lock_processes(connection, [commit.process for commit in commits])
            for some in _rounds(commits):
                _store(connection, some)

    def store_plan(self, process: int, module: int, plan: Plan) -> int:
        """Stores by which plan a module's values are captured; returns its first layout's number."""
        if not plan.layouts:
            return 0
        layouts = pack_layouts(plan.layouts)
        with self._writing, failures(self._engine, "write to"), self._engine.begin() as connection:
            lock_processes(connection, [process])
            return store_process_plan(connection, process, module, layouts)

    def unnamed(self, limit: int = 100_000) -> list[UnnamedFile]:
        """Returns what has no names yet and has not been looked for in vain; at most `limit` places."""
        with failures(self._engine, "read"), self._reading_engine.connect() as connection:
            return unnamed(connection, limit)

    def name(self, file: int, functions: list[FunctionName], call_sites: list[CallSiteName]) -> None:
        """Stores names of a file; better information replaces worse."""
        with self._writing, failures(self._engine, "write to"), self._engine.begin() as connection:
            store_names(connection, file, functions, call_sites)

    def close(self) -> None:
        """Closes the database. Nothing waits in the writer: commit has stored what it was given."""
        with self._writing, failures(self._engine, "close"):
            # First, for the last connection to a file in WAL mode puts everything into it, if it may write.
            self._reading_engine.dispose()
            checkpoint(self._engine)
            self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _rounds(commits: Sequence[Commit]) -> Iterator[list[Commit]]:
    """Splits commits, in order, so that a process is at most once in each part: the later one shall win."""
    part: list[Commit] = []
    processes: set[int] = set()
    for commit in commits:
        if commit.process in processes:
            yield part
            part, processes = [], set()
        part.append(commit)
        processes.add(commit.process)
    yield part


def _store(connection: Connection, commits: Sequence[Commit]) -> None:
    store_modules(connection, commits)
    store_sites(connection, commits)
    store_threads(connection, commits)
    store_progress(connection, commits)
    store_chunks(connection, commits)
    store_clocks(connection, [(commit.process, reading) for commit in commits for reading in commit.clocks])
    store_losses(connection, commits)
    store_crashes(connection, commits)
    finish_commits(connection, commits)
