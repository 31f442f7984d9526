"""Crashes: which one is meant, and all that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calltrace_collector.core import FRAME
from calltrace_collector.errors import NotFoundError, ProtocolError, StoreError, UsageError
from calltrace_collector.ingest.crash_message import read_crash
from calltrace_collector.model.crash import CrashAnalyzer, CrashFrame, OpenCall
from calltrace_collector.model.process import ModuleInfo
from calltrace_collector.query.moment import Moment, PastCall
from calltrace_collector.query.processes import choose
from calltrace_collector.query.recording import Recording
from calltrace_collector.store.location import shown
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.records import StoredCrash, ThreadRecord
from calltrace_collector.symbols.demangle import demangle

_TYPE_OF = "typeinfo for "


@dataclass(frozen=True, slots=True)
class ThreadAtCrash:
    """A thread at the crash: its open calls, outermost first; and whether it is the one that crashed."""

    thread: ThreadRecord
    crashed: bool
    calls: tuple[PastCall, ...]


@dataclass(frozen=True, slots=True)
class CrashReport:
    """All that is known of a crash.

    Attributes:
        recording: the process.
        crash: how it crashed.
        exception_type: demangled; None: no exception was the reason.
        frames: the stack trace, innermost frame first.
        threads: those that had begun and not ended, the crashing one first.
        last_calls: those that the crashing thread entered last, in order of entry.
    """

    recording: Recording
    crash: StoredCrash
    exception_type: str | None
    frames: tuple[CrashFrame, ...]
    threads: tuple[ThreadAtCrash, ...]
    last_calls: tuple[PastCall, ...]


def choose_crash(reader: Reader, *, process: int | None = None, pid: int | None = None) -> StoredCrash:
    """Finds a crash: that of a process, or of the newest process with a pid that crashed, or the newest.

    Raises:
        NotFoundError: there is none.
        UsageError: both are given.
    """
    if process is not None and pid is not None:
        raise UsageError("give --process or --pid, not both")
    found = reader.crashes(process=process, pid=pid, limit=1)
    if found:
        return found[0]
    if process is None and pid is None:
        raise NotFoundError(f"no crash is stored in {shown(reader.url)}")
    its = choose(reader, process=process, pid=pid).process
    raise NotFoundError(
        f"process {its.id} (pid {its.pid}) has left no record of a crash: "
        "calltrace crashes lists those that have"
    )


def crash_report(
    reader: Reader, crash: StoredCrash, analyzer: CrashAnalyzer, *, last_calls: int, anew: bool = False
) -> CrashReport:
    """Returns all that is known of a crash.

    Args:
        reader: where it is stored.
        crash: the crash.
        analyzer: makes sense of it if that has not been done.
        last_calls: how many of the last calls.
        anew: analyze it again, with the debug information that is there now.

    Raises:
        StoreError: the database cannot be read, or holds what it should not.
    """
    frames: Sequence[CrashFrame] = ()
    if crash.is_analyzed and not anew:
        frames = reader.crash_frames(crash.process)
    else:
        crash, frames = _analyzed(reader, crash, analyzer)
    (process,) = reader.processes(process=crash.process)
    recording = Recording(reader, process)
    threads = [
        ThreadAtCrash(
            thread, thread.number == crash.thread, tuple(Moment(recording, thread, crash.ticks).open_calls())
        )
        for thread in recording.threads
        if _was_there(thread, crash)
    ]
    threads.sort(key=lambda each: not each.crashed)
    last: list[PastCall] = []
    if threads and threads[0].crashed:
        last = Moment(recording, threads[0].thread, crash.ticks).last_calls(last_calls)
    return CrashReport(
        recording=recording,
        crash=crash,
        exception_type=None if crash.exception_type is None else type_name(crash.exception_type),
        frames=tuple(frames),
        threads=tuple(threads),
        last_calls=tuple(last),
    )


def type_name(mangled: str) -> str:
    """Returns a C++ type's name as the source spells it; what cannot be demangled, as it is."""
    (name,) = demangle([f"_ZTI{mangled}"])
    return name.removeprefix(_TYPE_OF) if name.startswith(_TYPE_OF) else mangled


def _was_there(thread: ThreadRecord, crash: StoredCrash) -> bool:
    if thread.number == crash.thread:
        return True
    return thread.started_ticks <= crash.ticks and not 0 < thread.ended_ticks <= crash.ticks


def _analyzed(
    reader: Reader, crash: StoredCrash, analyzer: CrashAnalyzer
) -> tuple[StoredCrash, tuple[CrashFrame, ...]]:
    """The crash and its stack trace, analyzed now."""
    encoded = reader.crash_message(crash.process)
    if encoded is None:
        raise StoreError(f"the crash of process {crash.process} was deleted meanwhile: ask again")
    try:
        record = replace(read_crash(encoded), thread=crash.thread)
    except ProtocolError as error:
        raise StoreError(f"the database is damaged: {error.message}") from error
    modules = [module for module in reader.modules(crash.process) if _was_mapped(module, crash)]
    analysis = analyzer(record, modules, _open_calls(reader, crash))
    crash = replace(
        crash,
        is_analyzed=True,
        signal_name=analysis.signal_name,
        code_name=analysis.code_name,
        code_meaning=analysis.code_meaning,
        fault_description=analysis.fault_description,
        reason=analysis.reason,
        unwound_until=analysis.unwound_until,
    )
    return crash, analysis.frames


def _was_mapped(module: ModuleInfo, crash: StoredCrash) -> bool:
    return module.loaded_ticks <= crash.ticks and not 0 < module.unloaded_ticks <= crash.ticks


def _open_calls(reader: Reader, crash: StoredCrash) -> list[OpenCall]:
    """The calls of the crashing thread that were open at the crash and never ended."""
    if crash.thread is None:
        return []
    frames = np.frombuffer(reader.stack(crash.process, crash.thread), FRAME)
    frames = frames[frames["start_ticks"] <= crash.ticks]
    sites = reader.sites(crash.process)
    addresses = {each.number: each.address for each in reader.functions(crash.process)}
    if len(frames) and int(frames["site"].max()) >= len(sites):
        raise StoreError(f"the database is damaged: process {crash.process} has open calls of unknown sites")
    return [
        OpenCall(call, addresses.get(sites[site].function, 0), sites[site].call_site_address, stack_pointer)
        for call, site, stack_pointer in zip(
            *(frames[name].tolist() for name in ("call", "site", "stack_pointer")), strict=True
        )
    ]
