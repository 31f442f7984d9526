"""Whether a process lives, dies or is gone, by what /proc says of it.

A process that dies does so thread by thread, and the one that writes a core file or gives back a large memory
may take seconds: its session is let go of long before the process is a zombie.
"""

from __future__ import annotations

import enum
import re
import signal
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Life", "Stat", "life_of", "read_stat"]

PROC = Path("/proc")

_STAT_STATE_FIELD = 3
_STAT_FLAGS_FIELD = 9
_STAT_THREADS_FIELD = 20
_STAT_START_TIME_FIELD = 22
_STAT_EXIT_CODE_FIELD = 52

# PF_EXITING, PF_DUMPCORE and PF_SIGNALED of linux/sched.h.
_EXITING = 0x4
_DUMPS_CORE = 0x200
_SIGNALED = 0x400

_DUMPING = re.compile(r"^CoreDumping:\s*1$", re.MULTILINE)
_PENDING = re.compile(r"^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$", re.MULTILINE)
_KILL = 1 << (signal.SIGKILL - 1)


class Life(enum.Enum):
    """What a process does: it runs, it is on its way to its end, or it is a zombie or no more."""

    LIVES = "lives"
    DIES = "dies"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/PID/stat says, in the kernel's units; proc(5) has the fields."""

    state: str
    flags: int
    threads: int
    start_time_jiffies: int
    wait_status: int

    @property
    def is_zombie(self) -> bool:
        """Whether the thread has ended: of a process, its first, which others may outlive."""
        return self.state in "ZX"


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def read_stat(folder: Path) -> Stat | None:
    """Reads `stat` in /proc/PID or /proc/PID/task/TID; None when there is no such process or thread."""
    text = _read(folder / "stat")
    if text is None:
        return None
    # Field 2, the name in parentheses, may hold anything; what follows its last parenthesis is field 3.
    fields = text.rpartition(")")[2].split()
    first = _STAT_STATE_FIELD
    return Stat(
        state=fields[_STAT_STATE_FIELD - first],
        flags=int(fields[_STAT_FLAGS_FIELD - first]),
        threads=int(fields[_STAT_THREADS_FIELD - first]),
        start_time_jiffies=int(fields[_STAT_START_TIME_FIELD - first]),
        wait_status=int(fields[_STAT_EXIT_CODE_FIELD - first]),
    )


def life_of(pid: int, start_time_jiffies: int, proc: Path = PROC) -> Life:
    """Looks at a process.

    Args:
        pid: in this process's own pid namespace.
        start_time_jiffies: of the process meant; another one with that pid is not it.
        proc: where the proc file system is.
    """
    folder = proc / str(pid)
    stat = read_stat(folder)
    if stat is None or stat.start_time_jiffies != start_time_jiffies:
        return Life.GONE
    # A first thread that has ended stays a zombie for as long as others run, or write the core file.
    if stat.is_zombie and stat.threads <= 1:
        return Life.GONE
    return Life.DIES if _is_dying(folder, stat) else Life.LIVES


def _is_dying(folder: Path, stat: Stat) -> bool:
    status = _read(folder / "status") or ""
    if _DUMPING.search(status) or any(int(mask, 16) & _KILL for mask in _PENDING.findall(status)):
        return True
    threads = [stat, *_other_threads(folder)]
    # One thread that exits is nobody's end, but what kills one kills them all.
    return any(thread.flags & (_DUMPS_CORE | _SIGNALED) for thread in threads) or all(
        thread.flags & _EXITING for thread in threads
    )


def _other_threads(folder: Path) -> list[Stat]:
    try:
        threads = [thread for thread in (folder / "task").iterdir() if thread.name != folder.name]
    except OSError:
        return []
    return [stat for stat in map(read_stat, threads) if stat is not None]
