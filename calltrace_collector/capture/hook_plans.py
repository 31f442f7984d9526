"""The plans of the hooks that one function calls.

A hook is called for a function, which need not be the one that the call stands in: in an inlined copy it is
the one that was inlined, in a clone (`f.constprop.0`) the one that was cloned. The agent runs a program only
if the hook is called for the function that the plan says.

Of inlined copies there are no values. They are never taken for the function they stand in: if that has hooks
of its own, the trace of the one meets the other; if it has none, its hooks are called for another function.
"""

from __future__ import annotations

from collections.abc import Sequence

from calltrace_collector.capture.addresses_taken import addresses_taken
from calltrace_collector.capture.code import FileCode
from calltrace_collector.capture.entry_trace import EntryTrace, trace_entry
from calltrace_collector.capture.exit_trace import trace_exit
from calltrace_collector.capture.expression import Expression
from calltrace_collector.capture.findings import HookFinding
from calltrace_collector.capture.function_plan import (
    INLINED,
    HookProgram,
    arguments,
    results,
    without_values,
)
from calltrace_collector.capture.hook_sites import HookSite
from calltrace_collector.capture.instructions import Refusal
from calltrace_collector.capture.subprogram import SubprogramInfo
from calltrace_collector.capture.subprograms import Subprograms

__all__ = ["FunctionHooks"]

_UNWINDS = "unwinds"
_FIRST_ARGUMENT = 5  # rdi


class FunctionHooks:
    """Finds out what is captured at the hooks of functions.

    Args:
        code: of the file.
        subprograms: of the file.

    Attributes:
        found: so far.
        functions: first addresses of all functions so far, by linkage name; of several of one name, None.
    """

    def __init__(self, code: FileCode, subprograms: Subprograms) -> None:
        self._code = code
        self._subprograms = subprograms
        self._at: dict[int, SubprogramInfo | None] = {}
        self._taken: dict[int, list[int]] = {}
        self.found: list[HookFinding] = []
        self.functions: dict[str, int | None] = {}

    def add(self, info: SubprogramInfo, sites: Sequence[HookSite]) -> None:
        """Looks at the hooks that a function calls."""
        name = info.linkage_name
        self.functions[name] = info.low_pc if name not in self.functions else None
        found: list[HookFinding | None] = []
        own: int | None = None
        is_host = False
        for site in sites:
            if site.is_entry:
                trace = trace_entry(self._code, info.low_pc, site.return_offset)
                offset = self._called_for(info, trace)
                found.append(self._entry(info, site, trace, offset))
                own = offset if own is None else own
                is_host = is_host or offset is None
        own = info.low_pc if own is None else own
        found += [self._exit(info, site, own, is_host=is_host) for site in sites if not site.is_entry]
        self.found += [one for one in found if one is not None]

    def _called_for(self, info: SubprogramInfo, trace: EntryTrace | Refusal) -> int | None:
        """Returns the function that the entry hook is called for; None if it is another than `info`."""
        offset = None if isinstance(trace, Refusal) else _offset_of(trace.at_hook(_FIRST_ARGUMENT))
        if offset is None or offset == info.low_pc:
            return info.low_pc
        other = self._starting_at(offset)
        return offset if other is not None and other.linkage_name == info.linkage_name else None

    def _entry(
        self, info: SubprogramInfo, site: HookSite, trace: EntryTrace | Refusal, offset: int | None
    ) -> HookFinding | None:
        if offset is None or isinstance(trace, Refusal):
            copy = self._subprograms.inlined_at(site.return_offset - 1)
            if copy is not None:
                return self._copied(info, site, copy, without_values(copy.parameters, INLINED))
        if offset is None:
            return None
        return _finding(site, offset, info, arguments(info.parameters, trace))

    def _exit(
        self, info: SubprogramInfo, site: HookSite, offset: int, *, is_host: bool
    ) -> HookFinding | None:
        trace = trace_exit(self._code, site.return_offset, info.low_pc)
        if isinstance(trace, Refusal) and trace.reason == _UNWINDS:
            return None
        if is_host or isinstance(trace, Refusal):
            copy = self._subprograms.inlined_at(site.return_offset - 1)
            if copy is not None:
                returned = [] if copy.returns is None else [copy.returns]
                return self._copied(info, site, copy, without_values(returned, INLINED))
        if info.returns is None:
            return None
        return _finding(site, offset, info, results(info.returns, trace))

    def _copied(
        self, host: SubprogramInfo, site: HookSite, copy: SubprogramInfo, program: HookProgram
    ) -> HookFinding | None:
        """Returns the finding about an inlined copy, under the name of the function that was copied."""
        if host.low_pc not in self._taken:
            self._taken[host.low_pc] = addresses_taken(self._code, host.ranges)
        originals = [self._starting_at(offset) for offset in self._taken[host.low_pc]]
        named = [one for one in originals if one is not None and one.name == copy.name]
        if len(named) != 1:
            return _finding(site, None, copy, program)
        return _finding(site, named[0].low_pc, named[0], program)

    def _starting_at(self, offset: int) -> SubprogramInfo | None:
        if offset not in self._at:
            (found,) = self._subprograms.at([offset])
            self._at[offset] = found if found is not None and found.low_pc == offset else None
        return self._at[offset]


def _finding(
    site: HookSite, offset: int | None, info: SubprogramInfo, program: HookProgram
) -> HookFinding | None:
    if not program.layout.items:
        return None
    return HookFinding(
        site.return_offset, offset, info.linkage_name, info.demangled, program.layout, program.code
    )


def _offset_of(address: Expression | None) -> int | None:
    """Returns an address of the file as the file numbers it; None if it is not known."""
    return int(address[1]) if address is not None and address[0] in ("image", "const") else None
