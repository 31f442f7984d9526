"""Whether a function keeps rbp as its frame pointer: told by how it begins."""

from __future__ import annotations

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.instructions import Flow
from calltrace_collector.capture.machine.memory import stack_range
from calltrace_collector.capture.machine.registers import RBP
from calltrace_collector.capture.machine.state import Code, State
from calltrace_collector.capture.trace.walk import Budget, UntraceableError, until_branch

MAX_PROLOGUE_STEPS = 16


def keeps_frame_pointer(code: Code, function_offset: int) -> bool:
    """Tells whether a function begins with push %rbp; mov %rsp, %rbp, whatever is before and in between.

    A function that has made rbp point to where the caller's is saved, uses it for nothing else.
    """
    state = State(code, [("in", number) for number in range(16)], [None] * 32)
    try:
        for count, (_, step) in enumerate(until_branch(code, function_offset, state, Budget())):
            if step.flow != Flow.NEXT or count >= MAX_PROLOGUE_STEPS:
                return False
            frame = state.general[RBP]
            if frame is not None and stack_range(ex.split(frame)[0]) is not None:
                return state.load(frame, 8) == ("in", RBP)
    except UntraceableError:
        pass
    return False
