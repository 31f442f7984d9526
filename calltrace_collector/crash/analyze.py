"""Makes sense of a crash: unwinds the stack, names the frames, finds their calls, says why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from calltrace_collector.crash import signals
from calltrace_collector.crash.fault import find_fault
from calltrace_collector.crash.join import join
from calltrace_collector.crash.names import FrameNames, Group
from calltrace_collector.crash.outer import outer_groups
from calltrace_collector.crash.reason import sentence
from calltrace_collector.crash.space import AddressSpace
from calltrace_collector.crash.unwind import Stack, unwind
from calltrace_collector.model.crash import CrashAnalysis, CrashFrame, CrashRecord, OpenCall
from calltrace_collector.model.process import ModuleInfo
from calltrace_collector.symbols.resolver import Resolver

__all__ = ["Analyzer"]

_INNERMOST, _OUTERMOST = 2000, 500
_REGISTERS = 17


class Analyzer:
    """A CrashAnalyzer.

    Args:
        resolver: opens the process's files.
    """

    def __init__(self, resolver: Resolver | None = None) -> None:
        self._resolver = resolver or Resolver()

    def __call__(
        self, record: CrashRecord, modules: Sequence[ModuleInfo], open_calls: Sequence[OpenCall]
    ) -> CrashAnalysis:
        """Returns what the crash means; see CrashAnalyzer. Never raises for what is in the record."""
        space = AddressSpace(record, modules, self._resolver)
        names = FrameNames(space)
        if len(record.registers) == _REGISTERS:
            stack = unwind(space, record.registers)
        else:
            stack = Stack([], "the registers were not recorded")
        frames, ended_by = _functions(stack, open_calls, names)
        names.release()
        if ended_by and record.incomplete:
            ended_by = f"{ended_by} ({record.incomplete})"
        fault = find_fault(record, space)
        code_name, meaning = signals.code_of(record.signal, record.code)
        return CrashAnalysis(
            reason=sentence(record, space, fault, frames),
            signal_name=signals.signal_name(record.signal),
            code_name=code_name,
            code_meaning=meaning,
            fault_description=fault.description if fault else "",
            frames=tuple(frames),
            unwound_until=ended_by,
        )


def _functions(stack: Stack, calls: Sequence[OpenCall], names: FrameNames) -> tuple[list[CrashFrame], str]:
    """Returns all functions on the stack, innermost first, and why the trace ends where it does."""
    joined = join(stack.frames, names.of_frames(stack.frames), calls, names)
    groups: list[Group] = joined.groups
    ended_by = stack.ended_by
    if ended_by:
        outer = outer_groups(joined, calls, names)
        if outer:
            groups = [*groups, *outer]
            place = sum(len(group) for group in joined.groups)
            ended_by = f"{ended_by}; the frames from #{place} on are those of traced calls"
    frames = [frame for group in _with_tail_calls(stack, groups, names) for frame in group]
    left_out = len(frames) - _INNERMOST - _OUTERMOST
    if left_out > 0:
        frames = frames[:_INNERMOST] + frames[-_OUTERMOST:]
        note = f"{left_out} frames after the first {_INNERMOST} are left out"
        ended_by = f"{note}; {ended_by}" if ended_by else note
    return frames, ended_by


def _with_tail_calls(stack: Stack, groups: Sequence[Group], names: FrameNames) -> Iterator[Group]:
    """Yields the frames, and between them those of functions that jumped in place of calling."""
    for number, group in enumerate(groups):
        yield group
        if number + 1 < len(stack.frames):
            yield from names.between(stack.frames[number], group, stack.frames[number + 1])
