"""What the collector's own threads have in common: how they are woken, started and stopped."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

__all__ = ["Worker"]


class Worker(ABC):
    """Threads that do what they are asked for, until they are told to stop.

    Subclasses say in `_run` what they do: they wait on `_wake`, which guards all that they share with who
    asks, and return when `_stopping` is set and what has to be done before is done.

    Args:
        name: of the threads.
        threads: how many.
    """

    def __init__(self, name: str, *, threads: int = 1) -> None:
        self._wake = threading.Condition()
        self._stopping = False
        self._threads = [threading.Thread(target=self._run, name=name, daemon=True) for _ in range(threads)]

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends the threads, and returns when they have ended: after what they were asked for so far."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        for thread in self._threads:
            thread.join()

    def _pause(self, seconds: float) -> bool:
        """Waits so long, or until the threads are to stop; returns whether they are."""
        with self._wake:
            return self._wake.wait_for(lambda: self._stopping, timeout=seconds)

    @property
    def _has_ended(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    @abstractmethod
    def _run(self) -> None:
        """What each of the threads does."""
