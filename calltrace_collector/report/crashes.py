"""The list of crashes, as `calltrace crashes` shows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import TextIO

from calltrace_collector.report.table import Column, print_table
from calltrace_collector.report.units import moment, printable
from calltrace_collector.store.records import StoredCrash

_HOST = Column("HOST")
_COLUMNS = (
    Column("TIME (UTC)"),
    Column("PROCESS", right=True, style="bold"),
    Column("PID", right=True),
    _HOST,
    Column("PROGRAM"),
    Column("THREAD"),
    Column("REASON", is_elastic=True),
)


def print_crashes(crashes: Sequence[StoredCrash], out: TextIO) -> None:
    """Prints crashes as a table; the host only where they are of several."""
    shown = [column for column in _COLUMNS if column != _HOST or len({each.host for each in crashes}) > 1]
    rows = [
        [text for column, text in zip(_COLUMNS, _row(each), strict=True) if column in shown]
        for each in crashes
    ]
    print_table(shown, rows, out)


def _row(crash: StoredCrash) -> tuple[str, ...]:
    thread = f"{crash.tid} {crash.thread_name}".rstrip()
    return (
        moment(crash.crashed_at_ns),
        str(crash.process),
        str(crash.pid),
        crash.host,
        printable(PurePath(crash.executable).name),
        printable(thread),
        printable(reason(crash)),
    )


def reason(crash: StoredCrash) -> str:
    """Returns why it crashed, in one sentence; the signal alone where nobody has looked into it."""
    return crash.reason or f"{crash.signal_name}, not analyzed: see calltrace crash --process {crash.process}"
