"""A collector of the benchmark's own, calltrace-collector serve, with database and socket in a new folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.measurement import BenchError
from bench.program import Run, environment, run
from calltrace_collector.config import AGENT_LIBRARY
from calltrace_collector.model.process import ProcessState
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.records import ProcessRecord

POLL_INTERVAL_S = 0.001
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Traced:
    """A traced run and what became of it.

    Attributes:
        run: of the program.
        stored_s: from the program's start to the commit that says that it has ended, the last one.
        process: what is stored of it.
    """

    run: Run
    stored_s: float
    process: ProcessRecord


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of a process: what it has, and the most it has had."""

    now_bytes: int
    peak_bytes: int


class Collector:
    """A running collector; as a context manager, it is ended and its database removed."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ct-bench-"))
        # Where agents keep their rings and outboxes: memory, as by default.
        self._sessions = Path(tempfile.mkdtemp(prefix="ct-bench-", dir="/dev/shm"))
        self._socket = self._folder / "collector.sock"
        self.database = self._folder / "calls.db"
        self._log = self._folder / "log"
        self._process: subprocess.Popen[bytes] | None = self._start()
        self.reader = Reader(str(self.database))

    def _start(self) -> subprocess.Popen[bytes]:
        ready, its_end = os.pipe()
        command = [
            *(sys.executable, "-P", "-m", "calltrace_collector.cli.collector", "serve"),
            *("--db", str(self.database), "--socket", str(self._socket), "--ready-fd", str(its_end)),
        ]
        with self._log.open("wb") as log:
            process = subprocess.Popen(command, env=environment(), stdout=log, stderr=log, pass_fds=[its_end])
        os.close(its_end)
        is_ready = os.read(ready, 1)
        os.close(ready)
        if not is_ready:
            process.wait()
            raise BenchError(f"the collector ended: {self.said()}")
        return process

    def said(self) -> str:
        """What the collector has said so far."""
        return self._log.read_text(errors="replace").strip()

    def environment(self, **settings: str) -> dict[str, str]:
        """What a program needs in its environment to be traced into this collector."""
        return environment(
            AGENT_LIBRARY,
            CALLTRACE_SOCKET=str(self._socket),
            CALLTRACE_SHM_DIR=str(self._sessions),
            **settings,
        )

    def trace(
        self,
        command: Sequence[str | Path | int],
        watch: Callable[[], None] | None = None,
        **settings: str,
    ) -> Traced:
        """Runs a program with the agent; returns when the last commit of it is there.

        Args:
            command: the program and its arguments.
            watch: called regularly while it runs.
            settings: of the agent, that is, more of the program's environment.

        Raises:
            BenchError: the program fails, or says something on standard error, which only the agent does.
        """
        done = run(command, self.environment(**settings), watch)
        if done.errors:
            raise BenchError(f"traced, {command[0]} says: {done.errors.strip()}")
        process = self._wait_for_end(done)
        return Traced(done, time.perf_counter() - done.began_s, process)

    def _wait_for_end(self, done: Run) -> ProcessRecord:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for process in self.reader.processes(pid=done.pid, limit=1):
                if process.state != ProcessState.RUNNING:
                    return process
            time.sleep(POLL_INTERVAL_S)
        raise BenchError(f"process {done.pid} does not end in the database: {self.said()}")

    def check_complete(self, traced: Traced, calls: int) -> None:
        """Checks that the database has exactly the calls that the program made.

        Raises:
            BenchError: it has not.
        """
        numbers = [function.number for function in self.reader.functions(traced.process.id)]
        found = self.reader.functions_in_chunks(traced.process.id, numbers)
        counts = (traced.process.calls, sum(entry.calls for entry in found))
        if counts != (calls, calls) or traced.process.lost_events:
            raise BenchError(
                f"of {calls:,} calls, {counts[0]:,} are in the database, {counts[1]:,} of them in chunks; "
                f"{traced.process.lost_events:,} events are counted as lost"
            )

    def memory(self) -> Memory:
        """Returns how much memory the collector's process holds."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        kib = {line.split()[0]: int(line.split()[1]) for line in status.splitlines() if line.endswith(" kB")}
        return Memory(now_bytes=kib["VmRSS:"] * 1024, peak_bytes=kib["VmHWM:"] * 1024)

    def stop(self) -> int:
        """Ends the collector, which folds SQLite's log into the file; returns the file's size in bytes."""
        assert self._process is not None
        self.reader.close()
        self._process.terminate()
        status = self._process.wait(PATIENCE_S)
        self._process = None
        if status != 0:
            raise BenchError(f"the collector ended with status {status}: {self.said()}")
        leftover = self.database.with_name(f"{self.database.name}-wal")
        return sum(file.stat().st_size for file in (self.database, leftover) if file.exists())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        shutil.rmtree(self._folder)
        shutil.rmtree(self._sessions)
