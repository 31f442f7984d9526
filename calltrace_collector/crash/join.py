"""Which traced call each frame is of.

A call is of the frame that its stack pointer lies in, if its function is that of the frame, or one that was
inlined there. Both are nested, so that recursive calls find their frames one by one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from calltrace_collector.crash.names import FrameNames, Group, plain_name
from calltrace_collector.crash.unwind import StackFrame
from calltrace_collector.model.crash import CrashFrame, OpenCall

_MAX_RUNS = 64
_KNOWN = 1 << 34  # an event has bits 4 to 33 of the stack pointer


@dataclass(frozen=True, slots=True)
class Joined:
    """Frames with their calls.

    Attributes:
        groups: as they were given, with calls.
        outer_calls: those further out than all frames, outermost first.
        last_frame: number of the frame that the outermost of the other calls is of; -1 if there is none.
    """

    groups: list[Group]
    outer_calls: Sequence[OpenCall]
    last_frame: int


def join(
    frames: Sequence[StackFrame], groups: Sequence[Group], calls: Sequence[OpenCall], names: FrameNames
) -> Joined:
    """Finds the call that each frame is of.

    Args:
        frames: of the stack, innermost first.
        groups: the functions of each.
        calls: that are open, outermost first.
        names: of functions.
    """
    runs = _runs(frames)
    joined = list(groups)
    at, position = 0, 0  # the frame, and the function in it, that the next call may be of
    last = len(calls)
    for number in range(len(calls) - 1, -1, -1):
        call = calls[number]
        for frame in _candidates(runs, frames, call.stack_pointer):
            if frame < at:
                continue
            found = find_function(joined[frame], call, names, position if frame == at else 0)
            if found is not None:
                joined[frame] = with_call(joined[frame], found, call.call)
                at, position, last = frame, found + 1, number
                break
    return Joined(joined, calls[:last], at if last < len(calls) else -1)


def find_function(group: Group, call: OpenCall, names: FrameNames, first: int) -> int | None:
    """Returns which function of a frame the call is of, from the `first` on; None if it is of none."""
    known = names.function_at(call.function_address)
    for number in range(first, len(group)):
        frame = group[number]
        if (
            frame.function_offset is not None
            and frame.address - frame.function_offset == call.function_address
        ):
            return number
        if known is None or known[0] != frame.module:
            continue
        # Demangled, for of a constructor's variants that are one function each has a linkage name.
        if frame.function is not None and frame.function == plain_name(known[1].name):
            return number
    return None


def with_call(group: Group, number: int, call: int) -> Group:
    """Returns the frame with the call that its function of that number is of."""
    frames: list[CrashFrame] = list(group)
    frames[number] = replace(frames[number], call=call)
    return tuple(frames)


def _runs(frames: Sequence[StackFrame]) -> list[tuple[int, list[int]]]:
    """Returns the frames that follow each other on one stack: the first's number, and the CFA of each.

    What a signal has interrupted may be on another stack.
    """
    runs: list[tuple[int, list[int]]] = []
    is_new = True
    for number, frame in enumerate(frames):
        # Where the trace ends, the frame may be of any size.
        cfa = frame.cfa if frame.cfa is not None else 1 << 64
        if is_new or cfa <= runs[-1][1][-1]:
            if len(runs) == _MAX_RUNS:
                break
            runs.append((number, []))
        runs[-1][1].append(cfa)
        is_new = frame.is_signal_frame
    return runs


def _candidates(
    runs: Sequence[tuple[int, list[int]]], frames: Sequence[StackFrame], stack_pointer: int
) -> list[int]:
    """Returns the frames that a stack pointer may be in: at most one of each run."""
    found: list[int] = []
    for first, ends in runs:
        # Of stack pointers on another stack than the thread's own, only the lower bits are known.
        top = frames[first].stack_pointer + _KNOWN // 2
        number = bisect_right(ends, top - (top - stack_pointer) % _KNOWN)
        if number < len(ends) and not frames[first + number].is_signal_frame:
            found.append(first + number)
    return found
