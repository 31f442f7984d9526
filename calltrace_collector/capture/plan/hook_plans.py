"""The plans of the hooks that one function calls.

A hook is called for a function, which need not be the one that the call stands in: in an inlined copy it is
the one that was inlined, in a clone (`f.constprop.0`) the one that was cloned. The agent runs a program only
if the hook is called for the function that the plan says.

Of inlined copies there are no values. They are never taken for the function they stand in: if that has hooks
of its own, the trace of the one meets the other; if it has none, its hooks are called for another function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from calltrace_collector.capture.code.addresses_taken import addresses_taken
from calltrace_collector.capture.code.file_code import FileCode
from calltrace_collector.capture.code.hook_sites import HookSite
from calltrace_collector.capture.machine.expression import Expression
from calltrace_collector.capture.machine.instructions import Refusal
from calltrace_collector.capture.machine.registers import ARGUMENTS
from calltrace_collector.capture.plan.findings import HookFinding
from calltrace_collector.capture.plan.function_plan import (
    INLINED,
    HookProgram,
    arguments,
    results,
    without_values,
)
from calltrace_collector.capture.signature.subprogram import SubprogramInfo
from calltrace_collector.capture.signature.subprograms import Subprograms
from calltrace_collector.capture.trace.entry_trace import EntryTrace, trace_entry
from calltrace_collector.capture.trace.exit_trace import UNWINDING, trace_exit
from calltrace_collector.symbols.demangle import demangle

__all__ = ["FunctionHooks"]


@dataclass(frozen=True, slots=True)
class _Copy:
    """A hook in an inlined copy of a function.

    Attributes:
        host: the function that the copy stands in.
        site: where the hook is called.
        info: the function that was copied.
        program: of the hook.
    """

    host: SubprogramInfo
    site: HookSite
    info: SubprogramInfo
    program: HookProgram


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
        self._copies: list[_Copy] = []
        self.found: list[HookFinding] = []
        self.functions: dict[str, int | None] = {}

    def add(self, info: SubprogramInfo, sites: Sequence[HookSite]) -> None:
        """Looks at the hooks that a function calls; finish() is to be called after the last."""
        name = info.linkage_name
        self.functions[name] = info.low_pc if name not in self.functions else None
        entries = [site for site in sites if site.is_entry]
        traces = [trace_entry(self._code, info.low_pc, site.return_offset) for site in entries]
        offsets = [self._called_for(info, trace) for trace in traces]
        found = [self._entry(info, *each) for each in zip(entries, traces, offsets, strict=True)]
        own = next((offset for offset in offsets if offset is not None), info.low_pc)
        frames = {
            None if isinstance(trace, Refusal) else trace.frame_bytes
            for trace, offset in zip(traces, offsets, strict=True)
            if offset is not None
        }
        # Of several entry hooks it is not known which of them a call went through.
        frame = frames.pop() if len(frames) == 1 else None
        is_host = None in offsets
        found += [self._exit(info, site, own, frame, is_host=is_host) for site in sites if not site.is_entry]
        self.found += [one for one in found if one is not None]

    def _called_for(self, info: SubprogramInfo, trace: EntryTrace | Refusal) -> int | None:
        """Returns the function that the entry hook is called for; None if it is another than `info`."""
        offset = None if isinstance(trace, Refusal) else _offset_of(trace.at_hook(ARGUMENTS[0]))
        if offset is None or offset == info.low_pc:
            return info.low_pc
        symbol = self._code.target_name(offset) or ""
        return offset if symbol.partition(".")[0] == info.linkage_name else None

    def _entry(
        self, info: SubprogramInfo, site: HookSite, trace: EntryTrace | Refusal, offset: int | None
    ) -> HookFinding | None:
        if offset is None or isinstance(trace, Refusal):
            copy = self._subprograms.inlined_at(site.return_offset - 1)
            if copy is not None:
                self._copies.append(_Copy(info, site, copy, without_values(copy.parameters, INLINED)))
                return None
        if offset is None:
            return None
        return _finding(site, offset, info, arguments(info.parameters, trace))

    def _exit(
        self, info: SubprogramInfo, site: HookSite, offset: int, frame_bytes: int | None, *, is_host: bool
    ) -> HookFinding | None:
        trace = trace_exit(self._code, site.return_offset, info.low_pc)
        if trace == UNWINDING:
            return None
        if is_host or isinstance(trace, Refusal):
            copy = self._subprograms.inlined_at(site.return_offset - 1)
            if copy is not None:
                returned = [] if copy.returns is None else [copy.returns]
                self._copies.append(_Copy(info, site, copy, without_values(returned, INLINED)))
                return None
        if info.returns is None:
            return None
        return _finding(site, offset, info, results(info.returns, trace, frame_bytes))

    def finish(self) -> None:
        """Adds what is found about inlined copies, under the names of the functions that were copied."""
        hosts = {copy.host.low_pc: copy.host.ranges for copy in self._copies}
        taken = {low_pc: addresses_taken(self._code, ranges) for low_pc, ranges in hosts.items()}
        offsets = sorted({offset for offsets in taken.values() for offset in offsets})
        starting = dict(zip(offsets, self._subprograms.at(offsets), strict=True))
        unknown: list[_Copy] = []
        for copy in self._copies:
            originals = [starting[offset] for offset in taken[copy.host.low_pc]]
            named = [one for one in originals if one is not None and one.name == copy.info.name]
            if len(named) == 1:
                self._add(_finding(copy.site, named[0].low_pc, named[0], copy.program))
            else:
                unknown.append(copy)
        names = demangle([copy.info.linkage_name for copy in unknown])
        for copy, name in zip(unknown, names, strict=True):
            self._add(_finding(copy.site, None, replace(copy.info, demangled=name), copy.program))

    def _add(self, finding: HookFinding | None) -> None:
        if finding is not None:
            self.found.append(finding)


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
