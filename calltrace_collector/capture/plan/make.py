"""Capture plans: for each call of a hook in a file, how the arguments or the result are captured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from calltrace_collector.capture.code.file_code import FileCode
from calltrace_collector.capture.code.hook_sites import HookSite
from calltrace_collector.capture.plan.findings import Findings, plan_of
from calltrace_collector.capture.plan.hook_plans import FunctionHooks
from calltrace_collector.capture.signature.subprogram import SubprogramInfo
from calltrace_collector.capture.signature.subprograms import Subprograms
from calltrace_collector.model.capture import Plan
from calltrace_collector.symbols.elf import ElfFile

__all__ = ["PlanMaker", "Progress", "make_plan"]

Progress = Callable[[int, int], None]
"""Takes how many calls of hooks are done, and how many there are."""


def make_plan(files: Sequence[ElfFile], progress: Progress | None = None) -> Plan:
    """Makes the plan of a program or shared library, in this process.

    Args:
        files: the file itself, and its debug file, if there is one.
        progress: is told how far it is; what it raises ends the work.

    Raises:
        SymbolError: a symbol table or the relocations are damaged.
    """
    return PlanMaker(files).plan(progress)


class PlanMaker:
    """Finds out how the values of a file's functions are captured.

    Args:
        files: the file itself, and its debug file, if there is one; they stay open as long as this is used.

    Attributes:
        calls: of hooks, by where they return to; none if nothing can be said of any.
        problem: why there are none; None: there is no problem.

    Raises:
        SymbolError: a symbol table or the relocations are damaged.
    """

    def __init__(self, files: Sequence[ElfFile]) -> None:
        self._code = FileCode(files)
        self._subprograms = Subprograms(files, self._code)
        # A jump to a hook returns to the function's caller, where it is not known whose result that is.
        self.calls = [site for site in self._code.sites if not site.is_jump]
        self.problem: str | None = None
        if self.calls and not self._subprograms.has_debug_info:
            self.calls = []
            self.problem = f"{files[0].path}: no debug information: compile with -g"

    def plan(self, progress: Progress | None = None) -> Plan:
        """Makes the plan of the file.

        Args:
            progress: is told how far it is; what it raises ends the work.
        """
        total = len(self.calls)
        if progress is not None:
            progress(0, total)
        return plan_of([self.find(self.calls, lambda done: progress(done, total) if progress else None)])

    def find(self, calls: Sequence[HookSite], progress: Callable[[int], None]) -> Findings:
        """Finds out what is captured at some of the calls.

        Args:
            calls: them.
            progress: is told how many are done.
        """
        if self.problem is not None:
            return Findings([], {}, [self.problem])
        infos = self._subprograms.at([call.return_offset - 1 for call in calls])
        hooks = FunctionHooks(self._code, self._subprograms)
        done = 0
        for info, group in _by_function(calls, infos):
            hooks.add(info, group)
            done += len(group)
            progress(done)
        hooks.finish()
        return Findings(hooks.found, hooks.functions, self._subprograms.problems)


def _by_function(
    sites: Sequence[HookSite], infos: Sequence[SubprogramInfo | None]
) -> list[tuple[SubprogramInfo, list[HookSite]]]:
    """Returns the sites of each function, in the order of the functions."""
    known = [(info.low_pc, info, site) for info, site in zip(infos, sites, strict=True) if info is not None]
    known.sort(key=lambda row: (row[0], row[2].return_offset))
    return [
        (rows[0][1], [site for _, _, site in rows])
        for rows in (list(group) for _, group in groupby(known, key=lambda row: row[0]))
    ]
