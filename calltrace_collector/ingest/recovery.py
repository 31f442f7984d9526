"""Taking what a dead process left in its session directory into its session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from calltrace_collector.errors import ProtocolError
from calltrace_collector.ingest.crash_analyst import CrashCase
from calltrace_collector.ingest.crash_file import read_left_crash
from calltrace_collector.ingest.directory import SessionDirectory, SessionHeader
from calltrace_collector.ingest.session import IngestSession

__all__ = ["Recovered", "recover"]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a session directory says besides what the session has taken.

    Attributes:
        header: of the session file; None: there is none that can be read.
        crash: how the process crashed, if it did.
        damage: what of its trace could not be taken, and why.
    """

    header: SessionHeader | None = None
    crash: CrashCase | None = None
    damage: list[str] = field(default_factory=list)


def recover(
    session: IngestSession, directory: SessionDirectory, on_message: Callable[[str], None]
) -> Recovered:
    """Takes what is in a directory and not yet in its session; what is damaged is left out.

    Args:
        session: of a process that is gone.
        directory: the session's, claimed.
        on_message: called with one line for the user for what cannot be read of a crash.
    """
    damage: list[str] = []
    header = _recover_calls(session, directory, damage)
    return Recovered(header, _recover_crash(session, directory, on_message), damage)


def _recover_calls(
    session: IngestSession, directory: SessionDirectory, damage: list[str]
) -> SessionHeader | None:
    @contextmanager
    def noting_damage() -> Iterator[None]:
        try:
            yield
        except (OSError, ProtocolError) as error:
            damage.append(str(error))

    header = None
    with noting_damage():
        header = directory.header()
        for _, message in directory.messages(after=session.received):
            session.receive(message)
    rings = directory.rings()
    next_thread = 1 + max((thread for thread, _ in rings), default=-1)
    for _, name in rings:
        with noting_damage():
            session.receive_ring(directory.ring(name), next_thread)
    return header


def _recover_crash(
    session: IngestSession, directory: SessionDirectory, on_message: Callable[[str], None]
) -> CrashCase | None:
    def say(what: str) -> None:
        on_message(f"process {session.info.pid}: not all of its crash could be read: {what}")

    record = read_left_crash(directory, say)
    if record is None:
        return None
    try:
        return session.receive_crash(record)
    except ProtocolError as error:
        say(error.message)
        return None
