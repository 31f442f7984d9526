"""What is known of how processes ended: what they said, the kernel says, a parent was told, a crash shows.

Whether a process lives, and what the kernel tells of its end, is in ending.py. Here it is decided which of
those who know something is believed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from calltrace_collector.errors import ProtocolError
from calltrace_collector.ingest.ending import ProcessWatch, end_from_wait_status
from calltrace_collector.ingest.recovery import Recovered
from calltrace_collector.ingest.session import IngestSession
from calltrace_collector.model.process import ProcessEnd, ProcessState

__all__ = ["FinishedImage", "KnownEnds", "process_of"]

MAX_WAIT_STATUS = 0xFFFF
REMEMBERED_PROCESSES = 4096
"""Processes that have ended of which something is remembered, for those who ask how they ended."""


@dataclass(frozen=True, slots=True)
class FinishedImage:
    """What is remembered of a session that has ended: its calls, and when its first clock reading was.

    `process` is the store's id.
    """

    process: int
    calls: int
    started_ticks: int


class KnownEnds:
    """Says how processes ended, and remembers those that have of late.

    A process is named by its pid and start time; it has an image for each program that it ran.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._finished: dict[tuple[int, int], list[FinishedImage]] = {}
        self._wait_statuses: dict[tuple[int, int], int] = {}

    def tell_wait_status(self, process: tuple[int, int], wait_status: int) -> None:
        """Takes what the parent of a process was told of its end.

        Raises:
            ProtocolError: it is no status of a process that has ended.
        """
        if wait_status > MAX_WAIT_STATUS or not (os.WIFEXITED(wait_status) or os.WIFSIGNALED(wait_status)):
            raise ProtocolError(f"{wait_status} is no status of a process that has ended")
        with self._lock:
            self._wait_statuses[process] = wait_status
            _forget_oldest(self._wait_statuses)

    def tell_finished(self, session: IngestSession) -> None:
        """Remembers an image whose end is stored."""
        image = FinishedImage(session.process, session.calls, session.info.clock.ticks)
        with self._lock:
            self._finished.setdefault(process_of(session), []).append(image)
            _forget_oldest(self._finished)

    def finished(self, process: tuple[int, int]) -> list[FinishedImage]:
        """The images of a process that have ended under this collector, of late."""
        with self._lock:
            return list(self._finished.get(process, ()))

    def end_of(
        self,
        session: IngestSession,
        watch: ProcessWatch,
        left: Recovered,
        open_images: Callable[[], Iterable[IngestSession]],
    ) -> ProcessEnd:
        """Says how an image ended.

        Args:
            session: the image's; all that it recorded is in it.
            watch: of its process; it is settled.
            left: what was in its directory.
            open_images: returns the open sessions of the same process.
        """
        header = left.header
        if header is not None and header.exit_code is not None:
            return ProcessEnd(ProcessState.EXITED, header.exit_code, None, header.ended_realtime_ns)
        end = watch.end()
        if self._has_later_image(session, open_images()):
            return ProcessEnd(ProcessState.EXECED, None, None, end.ended_at_ns)
        if end.exit_code is None and end.signal is None:
            with self._lock:
                wait_status = self._wait_statuses.get(process_of(session))
            if wait_status is not None:
                return end_from_wait_status(wait_status, end.ended_at_ns)
            crash = left.crash.crash if left.crash is not None else None
            if crash is not None and not crash.record.handled:
                return ProcessEnd(ProcessState.CRASHED, None, crash.record.signal, crash.crashed_at_ns)
            if end.state == ProcessState.EXECED:
                return end
            # Nobody saw it end, so it may have been long ago.
            return replace(end, ended_at_ns=session.last_seen_ns())
        return end

    def _has_later_image(self, session: IngestSession, open_images: Iterable[IngestSession]) -> bool:
        started = [image.info.clock.ticks for image in open_images]
        started += [image.started_ticks for image in self.finished(process_of(session))]
        return max(started, default=0) > session.info.clock.ticks


def process_of(session: IngestSession) -> tuple[int, int]:
    """The pid and start time of a session's process."""
    return session.info.pid, session.info.start_time_jiffies


def _forget_oldest(remembered: dict[tuple[int, int], Any]) -> None:
    while len(remembered) > REMEMBERED_PROCESSES:
        del remembered[next(iter(remembered))]
