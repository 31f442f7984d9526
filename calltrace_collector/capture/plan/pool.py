"""Plans of files of any size: of large ones by several processes at once.

Other processes are started anew, not forked: the collector has threads, whose locks a forked child could find
taken for ever. Each is given every n-th slice of the calls of hooks, and answers in this order.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from typing import Self

from calltrace_collector.capture.code.hook_sites import HookSite
from calltrace_collector.capture.plan.findings import Findings, plan_of
from calltrace_collector.capture.plan.make import PlanMaker, Progress, make_plan
from calltrace_collector.model.capture import Plan
from calltrace_collector.symbols.elf import ElfFile

__all__ = ["make_plan_by_all"]

LARGE = 6000
"""Calls of hooks from which on the start of processes pays."""
SLICE = 400
"""Calls of hooks that are answered for at once."""

_COMMAND = "from calltrace_collector.capture.plan.pool import answer; answer()"

_Opened = tuple[str, bytes | None]
"""A file: its path and its build-id."""


def make_plan_by_all(files: Sequence[ElfFile], progress: Progress | None = None, large: int = LARGE) -> Plan:
    """Makes the plan of a program or shared library, with as many processes as there are processors.

    Args:
        files: the file itself, and its debug file, if there is one.
        progress: is told how far it is; what it raises ends the work, and all processes.
        large: calls of hooks from which on other processes are started.

    Raises:
        SymbolError: a symbol table or the relocations are damaged.
    """
    workers = len(os.sched_getaffinity(0))
    maker = PlanMaker(files)
    calls = maker.calls
    if len(calls) < large or workers == 1:
        return maker.plan(progress)
    del maker  # other processes have their own
    opened = [(file.path, file.build_id) for file in files]
    total, done = len(calls), 0
    if progress is not None:
        progress(0, total)
    found: list[Findings] = []
    try:
        slices = _slices(calls)
        with closing(_answers(opened, slices, workers)) as answers:
            for part, findings in zip(slices, answers, strict=True):
                found.append(findings)
                done += len(part)
                if progress is not None:
                    progress(done, total)
    except (OSError, EOFError, pickle.PickleError):
        # A process could not be started, was killed, or has found another file.
        return make_plan(files, progress)
    return plan_of(found)


def _slices(calls: Sequence[HookSite]) -> list[list[HookSite]]:
    """Cuts the calls into pieces, before calls of the entry hook: those of a function stay together."""
    slices: list[list[HookSite]] = [[]]
    for call in calls:
        if call.is_entry and len(slices[-1]) >= SLICE:
            slices.append([])
        slices[-1].append(call)
    return slices


def _answers(
    opened: Sequence[_Opened], slices: Sequence[list[HookSite]], workers: int
) -> Generator[Findings, None, None]:
    """Gives what other processes find out about each slice; when it is closed they are no more."""
    with ExitStack() as started:
        processes = [started.enter_context(_Process()) for _ in range(workers)]
        for first, process in enumerate(processes):
            process.ask(opened, slices[first::workers])
        for number in range(len(slices)):
            yield processes[number % workers].answer()


class _Process:
    """A process that finds out about slices of calls; a context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def ask(self, opened: Sequence[_Opened], slices: Sequence[list[HookSite]]) -> None:
        """Says what it shall find out about."""
        if self._process.stdin is not None:
            with self._process.stdin as question:
                pickle.dump((list(opened), list(slices)), question)

    def answer(self) -> Findings:
        """Returns what it found out about its next slice."""
        if self._process.stdout is None:
            raise EOFError
        findings = pickle.load(self._process.stdout)  # noqa: S301 - this process has started it
        if not isinstance(findings, Findings):
            raise EOFError
        return findings


def answer() -> None:
    """Is what such a process does: reads its slices, and writes what it finds out about each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that has started this process ends it
    opened, slices = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the one that has started this process
    files = [ElfFile(path) for path, _ in opened]
    if [file.build_id for file in files] != [build_id for _, build_id in opened]:
        return
    maker = PlanMaker(files)
    for calls in slices:
        pickle.dump(maker.find(calls, lambda _: None), sys.stdout.buffer)
        sys.stdout.buffer.flush()
