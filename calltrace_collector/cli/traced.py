"""The program that `calltrace record` runs: started, given its signals, waited for."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from calltrace_collector.errors import CalltraceError, NotFoundError

_FORWARDED = (signal.SIGTERM, signal.SIGHUP)
_LEFT_TO_PROGRAM = (signal.SIGINT, signal.SIGQUIT)
# Python ignores these, and a program inherits what is ignored.
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
_START_TIME_FIELD = 22
_DUMPED = 0x80


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that has ended: `wait_status` as wait(2) gives it, the start time as /proc has it."""

    pid: int
    start_time_jiffies: int
    wait_status: int

    @property
    def exit_status(self) -> int:
        """What a shell would call it: the exit code, or 128 and the signal that killed it."""
        if os.WIFSIGNALED(self.wait_status):
            return 128 + os.WTERMSIG(self.wait_status)
        return os.WEXITSTATUS(self.wait_status)


class TracedProgram:
    """A running program.

    The terminal sends SIGINT and SIGQUIT to it as to us, so we let them pass; SIGTERM and SIGHUP, sent to us
    alone, are passed on.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Starts a program, which gets our descriptors as they are.

        Args:
            command: the program, looked for in PATH unless it has a slash, and its arguments.
            environment: the whole of it.

        Raises:
            CalltraceError: it cannot be started.
        """
        self._pid: int | None = None
        self._dead_pid: int | None = None
        self._pending: list[int] = []
        for number in (*_FORWARDED, *_LEFT_TO_PROGRAM):
            # What our caller has us ignore (nohup, a shell's background), the program is to ignore as well.
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._forward if number in _FORWARDED else _let_pass)
        try:
            # The handlers are ours alone: exec sets them back to the default.
            self._pid = os.posix_spawnp(command[0], list(command), environment, setsigdef=_IGNORED_BY_PYTHON)
        except OSError as error:
            raise _cannot_start(command[0], error) from error
        for pending in self._pending:
            os.kill(self._pid, pending)

    def wait(self) -> Ended:
        """Waits for the program's end. Call it once.

        The dead process stays until it is buried, so that /proc still tells of it: a collector that has not
        heard of it before sees there how it ended.
        """
        pid = self._pid
        assert pid is not None  # noqa: S101 else the constructor has raised
        result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert result is not None  # noqa: S101 it is only with WNOHANG
        self._pid = None
        self._dead_pid = pid
        started = _start_time_jiffies(pid)
        for number in (*_FORWARDED, *_LEFT_TO_PROGRAM):
            if signal.getsignal(number) != signal.SIG_IGN:
                default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
                signal.signal(number, default)
        return Ended(pid, started, _wait_status(result))

    def bury(self) -> None:
        """Lets the dead process go. Call it after wait(), once."""
        assert self._dead_pid is not None  # noqa: S101 see above
        os.waitpid(self._dead_pid, 0)
        self._dead_pid = None

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        if self._pid is None:
            self._pending.append(number)
            return
        with suppress(ProcessLookupError, PermissionError):
            os.kill(self._pid, number)


def _let_pass(_number: int, _frame: FrameType | None) -> None:
    pass


def _wait_status(result: os.waitid_result) -> int:
    """What wait(2) would have said."""
    if result.si_code == os.CLD_EXITED:
        return result.si_status << 8
    return result.si_status | (_DUMPED if result.si_code == os.CLD_DUMPED else 0)


def _start_time_jiffies(pid: int) -> int:
    # Field 2 is the program's name in parentheses, which may hold anything.
    after_name = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2]
    return int(after_name.split()[_START_TIME_FIELD - 3])


def _cannot_start(program: str, error: OSError) -> CalltraceError:
    path = program if "/" in program else shutil.which(program)
    if error.errno == errno.ENOENT and (path is None or not Path(path).exists()):
        where = "" if "/" in program else " in PATH"
        return NotFoundError(f"no such program{where}: {program}")
    if error.errno == errno.ENOENT:
        return CalltraceError(f"cannot run {program}: the interpreter that it names is not there")
    if error.errno == errno.ENOEXEC:
        return CalltraceError(f"cannot run {program}: neither a program nor a script with a #! line")
    return CalltraceError(f"cannot run {program}: {error.strerror}")
