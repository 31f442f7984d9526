"""Processes, as `calltrace ps` shows them."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Sequence
from typing import Any, TextIO

from calltrace_collector.model.process import ProcessState
from calltrace_collector.report.table import Column, print_table
from calltrace_collector.report.units import count, duration, moment, printable, rfc3339
from calltrace_collector.store.records import ProcessRecord

_HOST = Column("HOST")
_COLUMNS = (
    Column("PROCESS", right=True, style="bold"),
    Column("PID", right=True),
    _HOST,
    Column("STARTED (UTC)"),
    Column("RAN", right=True),
    Column("STATE"),
    Column("THREADS", right=True),
    Column("CALLS", right=True),
    Column("LOST", right=True),
    Column("COMMAND", is_elastic=True),
)


def process_fields(process: ProcessRecord) -> dict[str, Any]:
    """Returns what is known of a process as JSON has it."""
    return {
        "process": process.id,
        "host": process.host,
        "pid": process.pid,
        "ppid": process.parent_pid,
        "parent": process.parent,
        "began_by": _began_by(process),
        "exe": process.executable,
        "argv": list(process.arguments),
        "started_at": rfc3339(process.started_at_ns),
        "ended_at": None if process.ended_at_ns is None else rfc3339(process.ended_at_ns),
        "state": process.state.value,
        "exit_code": process.exit_code,
        "signal": process.signal,
        "threads": process.threads,
        "calls": process.calls,
        "lost_events": process.lost_events,
    }


def _began_by(process: ProcessRecord) -> str | None:
    """How a process came out of its parent, if that is stored too."""
    if process.parent is None:
        return None
    return "fork" if process.parent_session_id else "exec"


def print_processes(processes: Sequence[ProcessRecord], out: TextIO) -> None:
    """Prints processes as a table; the host only where they are of several."""
    shown = [column for column in _COLUMNS if column != _HOST or len({each.host for each in processes}) > 1]
    rows = [
        [text for column, text in zip(_COLUMNS, _row(each), strict=True) if column in shown]
        for each in processes
    ]
    print_table(shown, rows, out)


def _row(process: ProcessRecord) -> tuple[str, ...]:
    ran = "" if process.ended_at_ns is None else duration(max(0, process.ended_at_ns - process.started_at_ns))
    return (
        str(process.id),
        str(process.pid),
        process.host,
        moment(process.started_at_ns),
        ran,
        state(process),
        count(process.threads),
        count(process.calls),
        count(process.lost_events),
        command(process),
    )


def state(process: ProcessRecord) -> str:
    """Returns how a process stands, in words: running, exited 1, killed by SIGKILL."""
    if process.signal is not None:
        return f"{process.state.value} by {signal_name(process.signal)}"
    if process.state == ProcessState.EXITED and process.exit_code is not None:
        return f"exited {process.exit_code}"
    return process.state.value


def signal_name(number: int) -> str:
    """Returns the name of a signal, or "signal 99" for one that has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def command(process: ProcessRecord) -> str:
    """Returns the command line as one would type it, on one line."""
    text = shlex.join(process.arguments) if process.arguments else process.executable
    return printable(text)
