"""The registry: which processes are being traced, and what becomes of those that end.

A session is open from its process's first message until its end is stored. A process that leaves without a
word (killed, or gone while no collector ran) leaves its session directory; all ends go the same way: what is
in the directory and not yet taken is taken, the end is stored, the directory is removed, or kept under
another name if not all of it could be read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from calltrace_collector.errors import ProtocolError
from calltrace_collector.ingest.committer import Committer
from calltrace_collector.ingest.crash_analyst import CrashAnalyst
from calltrace_collector.ingest.directory import SessionDirectory, check_session_path
from calltrace_collector.ingest.ending import ProcessWatch
from calltrace_collector.ingest.known_ends import KnownEnds, process_of
from calltrace_collector.ingest.recovery import Recovered, recover
from calltrace_collector.ingest.session import IngestSession
from calltrace_collector.model.commit import Sink
from calltrace_collector.model.process import ProcessInfo

__all__ = ["OpenSession", "Registry"]


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


class Registry:
    """All open sessions of this collector.

    Args:
        sink: where processes are opened.
        committer: what commits their sessions.
        analyst: what finds out what crashes mean.
        on_message: called with one line for the user.

    Attributes:
        ends: what is known of how processes ended.
    """

    def __init__(
        self,
        sink: Sink,
        committer: Committer,
        analyst: CrashAnalyst,
        on_message: Callable[[str], None],
    ) -> None:
        self._sink = sink
        self._committer = committer
        self._analyst = analyst
        self._on_message = on_message
        self._lock = threading.Lock()
        self._open: dict[bytes, OpenSession] = {}
        self.ends = KnownEnds()

    # --- opening ---

    def open(self, info: ProcessInfo) -> OpenSession:
        """Finds the session of a process that is open, carried on from the store, or new.

        Raises:
            ProtocolError: the process has ended, as far as the store knows, or says of itself what cannot be.
            StoreError: the store does not answer.
        """
        opened = self.find(info)
        if opened is None:
            raise ProtocolError(f"process {info.pid} says it runs, but its trace has ended")
        return opened

    def find(self, info: ProcessInfo) -> OpenSession | None:
        """Does as open(), but returns None for a process whose end is stored already."""
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

    def of_process(self, process: tuple[int, int]) -> list[OpenSession]:
        """The open sessions of a process (pid, start time)."""
        return [opened for opened in self.open_sessions() if process_of(opened.session) == process]

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
            if not opened.watch.is_settled():
                return False
            self._store_end(opened, Recovered())
            return True
        with directory:
            # A process lets go of its session when it dies, which is some time before it is gone.
            if directory.is_held() or not opened.watch.is_settled() or not directory.claim():
                return False
            left = recover(opened.session, directory, self._on_message)
            self._store_end(opened, left)
            if left.damage:
                self._keep(opened.session, directory, left.damage)
            else:
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

    def _keep(self, session: IngestSession, directory: SessionDirectory, damage: list[str]) -> None:
        """Keeps a directory for people: what is damaged is not stored, but something may be made of it."""
        try:
            kept = f"what it left is kept in {directory.keep()}: remove it if nobody needs it"
        except OSError as error:
            kept = f"what it left could not be kept: {error}"
        for what in damage:
            self._on_message(
                f"process {session.info.pid}: not all of its trace could be read: {what}; {kept}"
            )

    def _store_end(self, opened: OpenSession, left: Recovered) -> None:
        session = opened.session
        process = process_of(session)

        def open_images() -> list[IngestSession]:
            return [image.session for image in self.of_process(process)]

        self._committer.end(session, self.ends.end_of(session, opened.watch, left, open_images))
        if left.crash is not None:
            self._analyst.take(left.crash)
        opened.watch.close()
        with self._lock:
            self._open.pop(session.info.session_id, None)
            self.ends.tell_finished(session)
        opened.ended.set()
