"""The committer: one thread that moves what sessions have taken in to the store, a transaction at a time.

Commits of all sessions go together. When the store refuses (the disk is full, say), what was taken waits
and is tried again; meanwhile sessions fill up and stop reading, agents keep what is not acknowledged, and
nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable

from calltrace_collector.errors import StoreError
from calltrace_collector.ingest.session import IngestSession
from calltrace_collector.ingest.worker import Worker
from calltrace_collector.model.commit import Commit, Sink
from calltrace_collector.model.process import ProcessEnd

__all__ = ["Committer"]

COMMIT_INTERVAL_S = 0.25
"""Longest time that something taken waits for its commit."""
COMMIT_BYTES = 8 << 20
"""With so much waiting in a session, hurry."""
RETRY_INTERVAL_S = 1.0
"""How often the store is asked again after it refused."""


class Committer(Worker):
    """Commits sessions' changes regularly, and on demand.

    Before it stops, it commits what there is; if the store refuses, it tries once.

    Args:
        sink: where commits go.
        on_committed: called from the committer's thread with a session and its commit that is now stored.
        on_message: called with one line for the user when the store refuses, and when it works again.
    """

    def __init__(
        self,
        sink: Sink,
        on_committed: Callable[[IngestSession, Commit], None],
        on_message: Callable[[str], None],
    ) -> None:
        super().__init__("committer")
        self._sink = sink
        self._on_committed = on_committed
        self._on_message = on_message
        self._sessions: set[IngestSession] = set()
        self._urgent = False
        self._stopped = False
        self._ends: dict[IngestSession, ProcessEnd] = {}
        self._taken: list[tuple[IngestSession, Commit]] = []
        self._refused = False

    @property
    def is_refused(self) -> bool:
        """Whether the store has refused the last commit."""
        return self._refused

    def add(self, session: IngestSession) -> None:
        """Takes a session into the rounds."""
        with self._wake:
            self._sessions.add(session)

    def hurry(self) -> None:
        """Commits as soon as possible instead of at the end of the interval."""
        with self._wake:
            self._urgent = True
            self._wake.notify_all()

    def end(self, session: IngestSession, end: ProcessEnd) -> None:
        """Commits the last of a session and how its process ended; returns when that is stored.

        Raises:
            StoreError: the committer was stopped before the store took it.
        """
        if session.is_given_up:
            self._sink.commit([Commit(session.process, 0, end=end)])
            return
        with self._wake:
            self._ends[session] = end
            self._urgent = True
            self._wake.notify_all()
            self._wake.wait_for(lambda: session not in self._sessions or self._stopped)
            if session in self._sessions:
                raise StoreError("the collector stopped before the database took everything")

    # --- the thread ---

    def _run(self) -> None:
        try:
            self._commit_until_stopped()
        finally:
            with self._wake:
                self._stopped = True
                self._wake.notify_all()

    def _commit_until_stopped(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._urgent or self._stopping, timeout=COMMIT_INTERVAL_S)
                self._urgent = False
                stopping = self._stopping
            stored = self._commit_all()
            if stopping:
                return
            if not stored:
                self._pause(RETRY_INTERVAL_S)

    def _take_all(self) -> None:
        with self._wake:
            sessions = list(self._sessions)
            ends = dict(self._ends)
        for session in sessions:
            commit = session.take_commit(ends.get(session))
            if commit is not None:
                self._taken.append((session, commit))

    def _commit_all(self) -> bool:
        """One round. Returns False when the store refused; then what was taken is kept."""
        if not self._refused:
            self._take_all()
        if not self._store():
            return False
        taken, self._taken = self._taken, []
        for session, commit in taken:
            self._on_committed(session, commit)
            self._forget_if_ended(session, commit)
        return True

    def _forget_if_ended(self, session: IngestSession, commit: Commit) -> None:
        if commit.end is None:
            return
        with self._wake:
            self._sessions.discard(session)
            self._ends.pop(session, None)
            self._wake.notify_all()

    def _store(self) -> bool:
        if not self._taken:
            return True
        try:
            self._sink.commit([commit for _, commit in self._taken])
        except StoreError as error:
            if not self._refused:
                self._on_message(f"{error.message}; traced programs wait, nothing is lost, trying again")
            self._refused = True
            return False
        except Exception:  # noqa: BLE001 -- whatever it is, it must not end the thread that serves everybody
            return self._store_one_by_one()
        if self._refused:
            self._on_message("the database works again")
        self._refused = False
        return True

    def _store_one_by_one(self) -> bool:
        """Gives up the session whose commit no store can take, so that those of others are stored."""
        while self._taken:
            session, commit = self._taken[0]
            try:
                if not session.is_given_up:
                    self._sink.commit([commit])
            except StoreError:
                return False  # in the next round
            except Exception as error:  # noqa: BLE001
                self._give_up(session, error)
            else:
                self._on_committed(session, commit)
                self._forget_if_ended(session, commit)
            del self._taken[0]
        return True

    def _give_up(self, session: IngestSession, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        self._on_message(f"process {session.info.pid}: its trace cannot be stored and ends here: {reason}")
        session.give_up(reason)
        with self._wake:
            self._sessions.discard(session)
            self._ends.pop(session, None)
            self._wake.notify_all()
