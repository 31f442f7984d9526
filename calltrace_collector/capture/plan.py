"""Capture plans: for each call of a hook in a file, how the arguments or the result are captured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from calltrace_collector.capture.code import FileCode
from calltrace_collector.capture.hook_plans import FunctionHooks, HookFinding
from calltrace_collector.capture.hook_sites import HookSite
from calltrace_collector.capture.subprogram import SubprogramInfo
from calltrace_collector.capture.subprograms import Subprograms
from calltrace_collector.model.capture import HookPlan, Item, Layout, Plan
from calltrace_collector.symbols.elf import ElfFile

__all__ = ["Progress", "make_plan", "plan_of_sites"]

Progress = Callable[[int, int], None]
"""Takes how many calls of hooks are done, and how many there are."""

_BATCH = 256


def make_plan(files: Sequence[ElfFile], progress: Progress | None = None) -> Plan:
    """Makes the plan of a program or shared library.

    Args:
        files: the file itself, and its debug file, if there is one.
        progress: is told how far it is; what it raises ends the work.

    Raises:
        SymbolError: a symbol table or the relocations are damaged.
    """
    code = FileCode(files)
    return plan_of_sites(files, code, code.sites, progress)


def plan_of_sites(
    files: Sequence[ElfFile], code: FileCode, sites: Sequence[HookSite], progress: Progress | None = None
) -> Plan:
    """Makes the plan of some calls of hooks; see make_plan()."""
    subprograms = Subprograms(files)
    if not subprograms.has_debug_info:
        return Plan(problems=(f"{files[0].path}: no debug information: compile with -g",) if sites else ())
    # A jump to the hook returns to the caller, where it is not known whose result that is.
    calls = [site for site in sites if not site.is_jump]
    if progress is not None:
        progress(0, len(calls))
    found: list[HookFinding] = []
    infos = subprograms.at([site.return_offset - 1 for site in calls])
    maker = FunctionHooks(code, subprograms, [info for info in infos if info is not None])
    done = 0
    for info, group in _by_function(calls, infos):
        found += maker.plans(info, group)
        done += len(group)
        if progress is not None:
            progress(done, len(calls))
    return _Collected().plan(found, [*subprograms.problems, *maker.problems])


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


class _Collected:
    """The layouts so far; equal ones are one."""

    def __init__(self) -> None:
        self._layouts: list[Layout] = []
        self._places: dict[tuple[tuple[object, ...], ...], int] = {}

    def plan(self, found: Sequence[HookFinding], problems: Sequence[str]) -> Plan:
        hooks = tuple(
            HookPlan(
                one.return_offset, one.function_offset, one.function, self._place(one.layout), one.program
            )
            for one in sorted(found, key=lambda one: one.return_offset)
        )
        return Plan(tuple(self._layouts), hooks, tuple(problems))

    def _place(self, layout: Layout) -> int:
        # Types are compared by identity: comparing all their parts takes long, and they are made once.
        key = tuple(_key(item) for item in layout.items)
        place = self._places.setdefault(key, len(self._layouts))
        if place == len(self._layouts):
            self._layouts.append(layout)
        return place


def _key(item: Item) -> tuple[object, ...]:
    return item.name, id(item.type), item.how, item.size, item.unavailable, item.constant
