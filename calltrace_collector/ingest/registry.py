"""The registry: which processes are being traced, and what becomes of those that end.

A session is open from its process's first message until its end is stored. A process that leaves without a
word (killed, or gone while no collector ran) leaves its session directory; all ends go the same way: what is
in the directory and not yet taken is taken, the end is stored, the directory is removed.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from calltrace_collector.errors import CalltraceError, ProtocolError, StoreError
from calltrace_collector.ingest.committer import Committer
from calltrace_collector.ingest.crash_analyst import CrashAnalyst, CrashCase
from calltrace_collector.ingest.crash_file import read_left_crash
from calltrace_collector.ingest.directory import (
    SessionDirectory,
    SessionHeader,
    check_session_path,
    session_directories,
)
from calltrace_collector.ingest.ending import ProcessWatch, end_from_wait_status
from calltrace_collector.ingest.messages import read_message, read_process
from calltrace_collector.ingest.session import IngestSession
from calltrace_collector.model.commit import Sink
from calltrace_collector.model.process import ProcessEnd, ProcessInfo, ProcessState

__all__ = ["FinishedImage", "OpenSession", "Registry"]


LOOKS_BEFORE_COMPLAINT = 4
"""An agent that is starting makes its session directory between two looks."""
MAX_WAIT_STATUS = 0xFFFF
REMEMBERED_PROCESSES = 4096
"""Processes that have ended of which something is remembered, for those who ask how they ended."""


@dataclass(slots=True, eq=False)
class OpenSession:
    """A session and what is needed to end it.

    Attributes:
        streams: how many streams feed it now: at most one, but an agent that connects anew may be here
            before its old stream is seen to be gone.
        committed: sequence number up to which the session is stored.
        ended: set when the end is stored.
    """

    session: IngestSession
    watch: ProcessWatch
    directory: Path | None
    committed: int
    streams: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    ending: bool = False


@dataclass(frozen=True, slots=True)
class FinishedImage:
    """What is remembered of a session that has ended: its calls, and when its first clock reading was.

    `process` is the store's id.
    """

    process: int
    calls: int
    started_ticks: int


class Registry:
    """All open sessions of this collector.

    Args:
        sink: where processes are opened.
        committer: what commits their sessions.
        analyst: what finds out what crashes mean.
        socket_path: of this collector; session directories that name it are its own.
        shm_directories: where session directories are looked for.
        on_message: called with one line for the user.
    """

    def __init__(
        self,
        sink: Sink,
        committer: Committer,
        analyst: CrashAnalyst,
        socket_path: Path,
        shm_directories: tuple[Path, ...],
        on_message: Callable[[str], None],
    ) -> None:
        self._sink = sink
        self._committer = committer
        self._analyst = analyst
        self._socket_path = str(socket_path)
        self._shm_directories = shm_directories
        self._on_message = on_message
        self._lock = threading.Lock()
        self._open: dict[bytes, OpenSession] = {}
        self._finished: dict[tuple[int, int], list[FinishedImage]] = {}
        self._wait_statuses: dict[tuple[int, int], int] = {}
        self._unreadable: dict[str, int] = {}

    # --- opening ---

    def open(self, info: ProcessInfo) -> OpenSession:
        """Finds the session of a process that is open, carried on from the store, or new.

        Raises:
            ProtocolError: the process has ended, as far as the store knows, or says of itself what cannot be.
            StoreError: the store does not answer.
        """
        opened = self._find(info)
        if opened is None:
            raise ProtocolError(f"process {info.pid} says it runs, but its trace has ended")
        return opened

    def _find(self, info: ProcessInfo) -> OpenSession | None:
        """The session of a process; None: its end is stored already."""
        with self._lock:
            known = self._open.get(info.session_id)
            if known is not None:
                return known
            if info.session_directory:
                check_session_path(info.session_directory, info.session_id, info.pid)
            saved = self._sink.open_process(info)
            if saved.ended:
                return None
            opened = OpenSession(
                session=IngestSession(info, saved),
                watch=ProcessWatch(info.pid, info.start_time_jiffies),
                directory=Path(info.session_directory) if info.session_directory else None,
                committed=saved.sequence,
            )
            self._open[info.session_id] = opened
            self._committer.add(opened.session)
            return opened

    def committed(self, session: IngestSession, sequence: int) -> OpenSession | None:
        """Notes how far a session is stored."""
        with self._lock:
            opened = self._open.get(session.info.session_id)
        if opened is not None:
            opened.committed = max(opened.committed, sequence)
        return opened

    def open_sessions(self) -> list[OpenSession]:
        """The sessions that are open."""
        with self._lock:
            return list(self._open.values())

    # --- ending ---

    def end_if_over(self, opened: OpenSession) -> bool:
        """Ends a session that no stream feeds, if its process image is gone. Returns whether it has ended.

        Raises:
            StoreError: the store could not take the end yet.
        """
        if opened.ended.is_set():
            return True
        with self._lock:
            if opened.streams or opened.ending:
                return False
            opened.ending = True
        try:
            return self._end(opened)
        finally:
            opened.ending = False

    def _end(self, opened: OpenSession) -> bool:
        directory = self._open_directory(opened)
        if directory is None:
            if opened.watch.is_alive() and not opened.session.said_goodbye:
                return False
            self._store_end(opened, self._end_of(opened, None))
            return True
        with directory:
            if directory.is_held() or not directory.claim():
                return False
            header = self._recover(opened.session, directory)
            crash = self._recover_crash(opened.session, directory)
            self._store_end(opened, _crashed(self._end_of(opened, header), crash), crash)
            directory.remove()
        return True

    def _open_directory(self, opened: OpenSession) -> SessionDirectory | None:
        """Opens a session's directory; one that is not as it should be is said, and left alone."""
        if opened.directory is None:
            return None
        info = opened.session.info
        try:
            directory = SessionDirectory(opened.directory)
            with ExitStack() as stack:
                stack.push(directory)
                if directory.header().session_id != info.session_id:
                    raise ProtocolError(f"{directory.path} is another session's")
                stack.pop_all()
        except FileNotFoundError:
            return None
        except (OSError, ProtocolError) as error:
            self._on_message(f"process {info.pid}: what it left behind is not read: {error}")
            opened.directory = None
            return None
        return directory

    def _recover(self, session: IngestSession, directory: SessionDirectory) -> SessionHeader | None:
        """Takes what the process left behind; what is damaged is said and left out."""

        @contextmanager
        def saying_damage() -> Iterator[None]:
            try:
                yield
            except (OSError, ProtocolError) as error:
                what = f"process {session.info.pid}: not all of its trace could be read"
                self._on_message(f"{what}: {error}")

        header = None
        with saying_damage():
            header = directory.header()
            for _, message in directory.messages(after=session.received):
                session.receive(message)
        rings = directory.rings()
        next_thread = 1 + max((thread for thread, _ in rings), default=-1)
        for _, name in rings:
            with saying_damage():
                session.receive_ring(directory.ring(name), next_thread)
        return header

    def _recover_crash(self, session: IngestSession, directory: SessionDirectory) -> CrashCase | None:
        """Takes how the process crashed, if it did; what is damaged is said."""

        def say(what: str) -> None:
            self._on_message(f"process {session.info.pid}: not all of its crash could be read: {what}")

        record = read_left_crash(directory, say)
        if record is None:
            return None
        try:
            return session.receive_crash(record)
        except ProtocolError as error:
            say(error.message)
            return None

    def _store_end(self, opened: OpenSession, end: ProcessEnd, crash: CrashCase | None = None) -> None:
        self._committer.end(opened.session, end)
        if crash is not None:
            self._analyst.take(crash)
        info = opened.session.info
        opened.watch.close()
        with self._lock:
            self._open.pop(info.session_id, None)
            images = self._finished.setdefault(_process_of(opened.session), [])
            images.append(FinishedImage(opened.session.process, opened.session.calls, info.clock.ticks))
            _forget_oldest(self._finished)
        opened.ended.set()

    # --- what dead processes left ---

    def adopt_left_behind(self) -> None:
        """Opens and ends the sessions whose directories were left behind and belong to this collector."""
        with self._lock:
            known = {str(opened.directory) for opened in self._open.values()}
        for shm_directory in self._shm_directories:
            for path in session_directories(shm_directory):
                if str(path) not in known:
                    self._adopt(path)

    def _adopt(self, path: Path) -> None:
        try:
            with SessionDirectory(path) as directory:
                if directory.is_held():
                    return
                header = directory.header()
                if not self._is_mine(header.socket_path):
                    return
                process = read_process(read_message(header.process).process)
            if process.session_directory != str(path) or process.session_id != header.session_id:
                raise ProtocolError(f"{path} does not say of itself what it is")
            opened = self._find(process)
            if opened is None:
                _remove(path)
            else:
                self.end_if_over(opened)
        except FileNotFoundError:
            return
        except StoreError:
            raise
        except (OSError, CalltraceError) as error:
            self._say_unreadable(path, error)

    def _say_unreadable(self, path: Path, error: Exception) -> None:
        """Says once that a directory cannot be read, unless it is only just being made."""
        looks = self._unreadable.get(str(path), 0) + 1
        self._unreadable[str(path)] = looks
        _forget_oldest(self._unreadable)
        if looks == LOOKS_BEFORE_COMPLAINT:
            self._on_message(f"a session directory is not read: {error}")

    def _is_mine(self, socket_path: str) -> bool:
        return socket_path == self._socket_path or not _answers(socket_path)

    # --- what a parent knows ---

    def tell_wait_status(self, process: tuple[int, int], wait_status: int) -> None:
        """Takes what the parent of a process (pid, start time) was told of its end.

        Raises:
            ProtocolError: it is no status of a process that has ended.
        """
        if wait_status > MAX_WAIT_STATUS or not (os.WIFEXITED(wait_status) or os.WIFSIGNALED(wait_status)):
            raise ProtocolError(f"{wait_status} is no status of a process that has ended")
        with self._lock:
            self._wait_statuses[process] = wait_status
            _forget_oldest(self._wait_statuses)

    def finished(self, process: tuple[int, int]) -> list[FinishedImage]:
        """The images of a process (pid, start time) that have ended under this collector, of late."""
        with self._lock:
            return list(self._finished.get(process, ()))

    def of_process(self, process: tuple[int, int]) -> list[OpenSession]:
        """The open sessions of a process (pid, start time)."""
        return [opened for opened in self.open_sessions() if _process_of(opened.session) == process]

    def _end_of(self, opened: OpenSession, header: SessionHeader | None) -> ProcessEnd:
        if header is not None and header.exit_code is not None:
            return ProcessEnd(ProcessState.EXITED, header.exit_code, None, header.ended_realtime_ns)
        end = opened.watch.end()
        if end.state == ProcessState.EXECED or self._has_later_image(opened.session):
            return ProcessEnd(ProcessState.EXECED, None, None, end.ended_at_ns)
        if end.exit_code is None and end.signal is None:
            with self._lock:
                wait_status = self._wait_statuses.get(_process_of(opened.session))
            if wait_status is not None:
                return end_from_wait_status(wait_status, end.ended_at_ns)
            # Nobody saw it end, so it may have been long ago.
            return replace(end, ended_at_ns=opened.session.last_seen_ns())
        return end

    def _has_later_image(self, session: IngestSession) -> bool:
        process = _process_of(session)
        started = [opened.session.info.clock.ticks for opened in self.of_process(process)]
        started += [image.started_ticks for image in self.finished(process)]
        return max(started, default=0) > session.info.clock.ticks


def _remove(path: Path) -> None:
    """Removes the directory of a session whose end is stored: its collector died before it came to that."""
    with suppress(OSError, ProtocolError), SessionDirectory(path) as directory:
        if directory.claim():
            directory.remove()


def _crashed(end: ProcessEnd, crash: CrashCase | None) -> ProcessEnd:
    """The end of a process that crashed, if nobody else knows how it ended."""
    if crash is None or crash.crash.record.handled or (end.state, end.signal) != (ProcessState.KILLED, None):
        return end
    return ProcessEnd(ProcessState.CRASHED, None, crash.crash.record.signal, crash.crash.crashed_at_ns)


def _forget_oldest(remembered: dict[Any, Any]) -> None:
    while len(remembered) > REMEMBERED_PROCESSES:
        del remembered[next(iter(remembered))]


def _process_of(session: IngestSession) -> tuple[int, int]:
    return session.info.pid, session.info.start_time_jiffies


def _answers(socket_path: str) -> bool:
    """Whether a collector listens on a socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(socket_path)
    except OSError:
        return False
    return True
