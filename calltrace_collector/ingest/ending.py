"""Whether a process lives, and how it ended.

Nobody but a parent may wait for a process; the kernel tells others what it can: a pidfd's exit information
(Linux 6.15 and later), or the exit code in /proc/PID/stat while the process is a zombie. Nobody is told that
a process has exec'd: that is what is left if its image is gone, and it neither is gone nor dies.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from calltrace_collector.ingest.vital_signs import PROC, Life, life_of, read_stat
from calltrace_collector.model.process import ProcessEnd, ProcessState

__all__ = ["ProcessWatch", "end_from_wait_status", "read_start_time"]

# struct pidfd_info and PIDFD_GET_INFO of linux/pidfd.h.
_PIDFD_INFO = struct.Struct("=QQ" + "I" * 12)
_PIDFD_INFO_EXIT = 1 << 3
_PIDFD_GET_INFO = 0xC0000000 | _PIDFD_INFO.size << 16 | 0xFF << 8 | 11
_EXIT_CODE_INDEX = 13

LOOKS_APART_NS = 4_000_000
"""How far apart two looks are that say the same: a process that dies does not look like it from the first."""

_CRASH_SIGNALS = frozenset(
    {
        signal.SIGSEGV,
        signal.SIGABRT,
        signal.SIGILL,
        signal.SIGFPE,
        signal.SIGBUS,
        signal.SIGTRAP,
        signal.SIGSYS,
    }
)


def read_start_time(pid: int) -> int | None:
    """Returns field 22 of /proc/PID/stat, which with the pid names a process of this boot."""
    stat = read_stat(PROC / str(pid))
    return stat.start_time_jiffies if stat else None


def end_from_wait_status(wait_status: int, ended_at_ns: int) -> ProcessEnd:
    """Says what a status of wait(2) means."""
    if os.WIFSIGNALED(wait_status):
        number = os.WTERMSIG(wait_status)
        state = ProcessState.CRASHED if number in _CRASH_SIGNALS else ProcessState.KILLED
        return ProcessEnd(state, None, number, ended_at_ns)
    return ProcessEnd(ProcessState.EXITED, os.WEXITSTATUS(wait_status), None, ended_at_ns)


class ProcessWatch:
    """Holds on to a process from the moment its stream begins, so that its end can be told.

    Args:
        pid: in this process's own pid namespace.
        start_time_jiffies: of the process meant; another one with that pid is not watched.
        proc: where the proc file system is.
    """

    def __init__(self, pid: int, start_time_jiffies: int, proc: Path = PROC) -> None:
        self._pid = pid
        self._start_time = start_time_jiffies
        self._proc = proc
        self._living_since_ns: int | None = None
        self._lives_on = False
        self._pidfd = self._open()

    def _open(self) -> int | None:
        try:
            pidfd = os.pidfd_open(self._pid)
        except OSError:
            return None
        # Only now, with the descriptor in hand, is it sure which process the pid means.
        if read_start_time(self._pid) == self._start_time:
            return pidfd
        os.close(pidfd)
        return None

    def _life(self) -> Life:
        return life_of(self._pid, self._start_time, self._proc)

    def is_alive(self) -> bool:
        """Whether the process is there, if only to die: neither gone nor a zombie."""
        return self._life() is not Life.GONE

    def is_settled(self) -> bool:
        """Whether it can be told how the image ended, given that it has: to be asked again until it can.

        That is so once the process is gone, or was seen to live on by two looks with some time between them
        and none between them that saw it die.
        """
        if self._lives_on:
            return True
        life = self._life()
        if life is not Life.LIVES:
            self._living_since_ns = None
            return life is Life.GONE
        now_ns = time.monotonic_ns()
        if self._living_since_ns is None:
            self._living_since_ns = now_ns
        self._lives_on = now_ns - self._living_since_ns >= LOOKS_APART_NS
        return self._lives_on

    def end(self) -> ProcessEnd:
        """Says how the image ended, once that is settled; state `execed` when its process lives on."""
        now_ns = time.time_ns()
        # Not by another look: what its process does after it was seen to live on is not this image's end.
        if self._lives_on:
            return ProcessEnd(ProcessState.EXECED, None, None, now_ns)
        wait_status = self._zombie_status()
        if wait_status is None:
            wait_status = self._reaped_status()
        if wait_status is None:
            return ProcessEnd(ProcessState.KILLED, None, None, now_ns)
        return end_from_wait_status(wait_status, now_ns)

    def _zombie_status(self) -> int | None:
        stat = read_stat(self._proc / str(self._pid))
        if stat is None or stat.start_time_jiffies != self._start_time:
            return None
        return stat.wait_status

    def _reaped_status(self) -> int | None:
        if self._pidfd is None:
            return None
        request = _PIDFD_INFO.pack(_PIDFD_INFO_EXIT, *[0] * 13)
        try:
            answer = fcntl.ioctl(self._pidfd, _PIDFD_GET_INFO, request)
        except OSError:
            return None
        values = _PIDFD_INFO.unpack(answer)
        if not values[0] & _PIDFD_INFO_EXIT:
            return None
        return int(values[_EXIT_CODE_INDEX])

    def close(self) -> None:
        """Lets go of the process."""
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
