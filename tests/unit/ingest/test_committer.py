from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from calltrace_collector.errors import ProtocolError, StoreError
from calltrace_collector.ingest import committer as committer_module
from calltrace_collector.ingest.committer import Committer
from calltrace_collector.ingest.session import IngestSession
from calltrace_collector.model.commit import Commit, SavedProcess
from calltrace_collector.model.process import ProcessEnd, ProcessState
from tests.support.collector import PATIENCE_S, wait_until
from tests.unit.ingest.builders import MemorySink, Script, process_info


class Running:
    """A committer that runs, and what it says."""

    def __init__(self) -> None:
        self.sink = MemorySink()
        self.committed: list[int] = []
        self.said: list[str] = []
        self.committer = Committer(self.sink, self._on_committed, self.said.append)
        self.session = IngestSession(process_info(), self.sink.saved)
        self.committer.add(self.session)

    def _on_committed(self, session: IngestSession, commit: Commit) -> None:
        assert session is self.session
        self.committed.append(commit.sequence)


def test_what_is_taken_is_committed_by_and_by() -> None:
    running, script = Running(), Script()
    running.committer.start()
    running.session.receive(script.thread())
    wait_until(lambda: 1 in running.committed, "the commit")
    running.committer.stop()
    assert [thread.number for commit in running.sink.commits for thread in commit.threads] == [0]


def test_stopping_commits_the_rest() -> None:
    running, script = Running(), Script()
    running.committer.start()
    running.session.receive(script.thread())
    running.session.receive(script.batch(1, 0, new_sites=1))
    running.committer.stop()
    assert running.committed[-1] == 2


def test_a_store_that_refuses_is_asked_again_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer_module, "RETRY_INTERVAL_S", 0.01)
    running, script = Running(), Script()
    running.sink.refusal = StoreError("the disk is full")
    running.committer.start()
    running.session.receive(script.thread())
    running.session.receive(script.batch(1, 1, new_sites=1))
    wait_until(lambda: running.said, "the message")
    assert running.committer.is_refused
    running.session.receive(script.batch(0))
    assert running.committed == []
    running.sink.refusal = None
    wait_until(lambda: 3 in running.committed, "the commit")
    running.committer.stop()
    assert "the disk is full" in running.said[0]
    assert running.said[1:] == ["the database works again"]
    calls = {p.thread: p.calls for commit in running.sink.commits for p in commit.progress}
    assert calls == {0: 2}
    assert [chunk.rows for commit in running.sink.commits for chunk in commit.chunks][-1] == 2


def test_an_end_is_stored_with_the_last_of_the_session() -> None:
    running, script = Running(), Script()
    running.committer.start()
    running.session.receive(script.thread())
    end = ProcessEnd(ProcessState.EXITED, 0, None, 1)
    ending = threading.Thread(target=running.committer.end, args=(running.session, end))
    ending.start()
    ending.join()
    assert running.sink.commits[-1].end == end
    running.committer.stop()
    assert [commit.end for commit in running.sink.commits].count(end) == 1


def test_nobody_waits_for_a_committer_that_has_stopped() -> None:
    running = Running()
    running.committer.start()
    running.committer.stop()
    with pytest.raises(StoreError, match="stopped"):
        running.committer.end(running.session, ProcessEnd(ProcessState.EXITED, 0, None, 1))


def test_whoever_waits_for_an_end_hears_that_the_committer_stops() -> None:
    running, script = Running(), Script()
    running.sink.refusal = StoreError("the disk is full")
    running.committer.start()
    running.session.receive(script.thread())
    wait_until(lambda: running.said, "the refusal")
    heard: list[str] = []

    def end() -> None:
        try:
            running.committer.end(running.session, ProcessEnd(ProcessState.EXITED, 0, None, 1))
        except StoreError as error:
            heard.append(error.message)

    ending = threading.Thread(target=end, daemon=True)
    ending.start()
    running.committer.stop()
    ending.join(PATIENCE_S)
    assert heard == ["the collector stopped before the database took everything"]


def test_a_session_that_cannot_be_stored_is_given_up_and_others_are_not() -> None:
    running, script = Running(), Script()
    poisoned = IngestSession(
        replace(process_info(), pid=666), SavedProcess(process=2, sequence=0, ended=False)
    )
    commit = running.sink.commit

    def refuse_poison(commits: list[Commit]) -> None:
        if any(one.process == 2 and one.threads for one in commits):
            raise KeyError("poison")
        commit(commits)

    running.sink.commit = refuse_poison  # type: ignore[method-assign]
    running.committer.add(poisoned)
    running.session.receive(script.thread())
    poisoned.receive(Script().thread())
    running.committer.start()
    wait_until(lambda: running.committed and running.said, "the others' commit")
    assert running.committed == [1]
    (said,) = running.said
    assert "process 666: its trace cannot be stored and ends here: KeyError: 'poison'" in said
    with pytest.raises(ProtocolError, match="cannot be stored"):
        poisoned.receive(script.clock())
    end = ProcessEnd(ProcessState.EXITED, 0, None, 1)
    running.committer.end(poisoned, end)
    running.committer.end(running.session, end)
    running.committer.stop()
    assert [one.process for one in running.sink.commits if one.end] == [2, 1]
