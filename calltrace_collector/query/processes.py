"""Which process is meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from calltrace_collector.errors import NotFoundError, UsageError
from calltrace_collector.store.location import shown
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.records import ProcessRecord

_NAMED_IN_MESSAGES = 5


@dataclass(frozen=True, slots=True)
class Chosen:
    """A process, and the others that had the same pid, newest first, when it was asked for by pid."""

    process: ProcessRecord
    others: tuple[ProcessRecord, ...] = ()


def choose(reader: Reader, *, process: int | None = None, pid: int | None = None) -> Chosen:
    """Finds a process.

    Args:
        reader: where.
        process: the store's id of it.
        pid: the newest process with this process id. With neither, the newest process is meant.

    Raises:
        NotFoundError: there is none; the message names some that are there.
        UsageError: both are given.
    """
    if process is not None and pid is not None:
        raise UsageError("give --process or --pid, not both")
    found = reader.processes(process=process, pid=pid, limit=1 if pid is None else None)
    if found:
        return Chosen(found[0], tuple(found[1:]))
    newest = reader.processes(limit=_NAMED_IN_MESSAGES)
    if not newest:
        raise NotFoundError(
            f"no process is stored in {shown(reader.url)}: record one with calltrace record -- PROGRAM"
        )
    asked = f"id {process}" if process is not None else f"pid {pid}"
    there = ", ".join(_named(each, by_pid=process is None) for each in newest)
    raise NotFoundError(f"no process with {asked} is stored; the newest are {there} (calltrace ps lists all)")


def _named(process: ProcessRecord, *, by_pid: bool) -> str:
    number = process.pid if by_pid else process.id
    return f"{number} ({PurePath(process.executable).name})"
