"""Whether a process lives, and how it ended.

Nobody but a parent may wait for a process; the kernel tells others what it can: a pidfd's exit information
(Linux 6.15 and later), or the exit code in /proc/PID/stat while the process is a zombie.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from calltrace_collector.model.process import ProcessEnd, ProcessState

__all__ = ["ProcessWatch", "end_from_wait_status", "read_start_time"]

_STAT_STATE_FIELD = 3
_STAT_START_TIME_FIELD = 22
_STAT_EXIT_CODE_FIELD = 52

# struct pidfd_info and PIDFD_GET_INFO of linux/pidfd.h.
_PIDFD_INFO = struct.Struct("=QQ" + "I" * 12)
_PIDFD_INFO_EXIT = 1 << 3
_PIDFD_GET_INFO = 0xC0000000 | _PIDFD_INFO.size << 16 | 0xFF << 8 | 11
_EXIT_CODE_INDEX = 13

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


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    start_time_jiffies: int
    wait_status: int


def _read_stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # Field 2, the name in parentheses, may hold anything; what follows its last parenthesis is field 3.
    fields = text.rpartition(")")[2].split()
    first = _STAT_STATE_FIELD
    return _Stat(
        state=fields[_STAT_STATE_FIELD - first],
        start_time_jiffies=int(fields[_STAT_START_TIME_FIELD - first]),
        wait_status=int(fields[_STAT_EXIT_CODE_FIELD - first]),
    )


def read_start_time(pid: int) -> int | None:
    """Returns field 22 of /proc/PID/stat, which with the pid names a process of this boot."""
    stat = _read_stat(pid)
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
    """

    def __init__(self, pid: int, start_time_jiffies: int) -> None:
        self._pid = pid
        self._start_time = start_time_jiffies
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

    def is_alive(self) -> bool:
        """Whether the process runs: neither gone nor a zombie."""
        stat = _read_stat(self._pid)
        return stat is not None and stat.start_time_jiffies == self._start_time and stat.state not in "ZX"

    def end(self) -> ProcessEnd:
        """Says how the image ended, given that it has; state `execed` when its process lives on."""
        now_ns = time.time_ns()
        if self.is_alive():
            return ProcessEnd(ProcessState.EXECED, None, None, now_ns)
        wait_status = self._zombie_status()
        if wait_status is None:
            wait_status = self._reaped_status()
        if wait_status is None:
            return ProcessEnd(ProcessState.KILLED, None, None, now_ns)
        return end_from_wait_status(wait_status, now_ns)

    def _zombie_status(self) -> int | None:
        stat = _read_stat(self._pid)
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
