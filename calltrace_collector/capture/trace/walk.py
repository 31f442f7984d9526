"""Following code from step to step, along all ways that it may take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from calltrace_collector.capture.machine.expression import Value
from calltrace_collector.capture.machine.flags import condition
from calltrace_collector.capture.machine.instructions import Flow, Step, steps
from calltrace_collector.capture.machine.state import Code, State

UNWINDS = frozenset(("_Unwind_Resume", "__cxa_rethrow", "__clang_call_terminate", "_ZSt9terminatev"))
"""Where functions end that an exception leaves, or may not leave."""

NEVER_RETURN = frozenset(
    (
        "__stack_chk_fail",
        "__stack_chk_fail_local",
        "abort",
        "_exit",
        "exit",
        "__assert_fail",
        "__cxa_throw",
        "__cxa_bad_cast",
        "__cxa_bad_typeid",
        "__cxa_throw_bad_array_new_length",
    )
)

MAX_STEPS = 700
"""Along all ways together."""

MAX_WAYS = 24


Way = TypeVar("Way")
Answer = TypeVar("Answer")


class UntraceableError(Exception):
    """The code does what cannot be followed; says what."""


class Budget:
    """How much more is followed."""

    __slots__ = ("steps", "ways")

    def __init__(self) -> None:
        self.steps = MAX_STEPS
        self.ways = MAX_WAYS

    def fork(self) -> None:
        """Counts one more way."""
        self.ways -= 1
        if self.ways < 0:
            raise UntraceableError("the code there takes too many ways")


def until_branch(code: Code, address: int, state: State, budget: Budget) -> Iterator[tuple[int, Step]]:
    """Follows code on from an address, changing the state; gives each step, its effect done."""
    for after, step in steps(code, address):
        budget.steps -= 1
        if budget.steps < 0:
            raise UntraceableError("the code there is too long, or loops")
        state.next = after
        if step.effect is not None:
            step.effect(state)
        elif step.flow == Flow.UNKNOWN:
            raise UntraceableError("an instruction there is not understood")
        yield after, step
    raise UntraceableError("the code there ends")


def target_name(code: Code, after: int, step: Step) -> str | None:
    """Returns the name of what is called or jumped to, without version."""
    if step.target is not None:
        return code.target_name(after + step.target)
    if step.pointer is not None:
        return code.got_name(after + step.pointer)
    return None


def taken(state: State, step: Step) -> Value:
    """Returns 1 if a branch is taken, 0 if not; None: not known."""
    return condition(state, step.condition) if step.condition else None


def common(ways: Sequence[Way], query: Callable[[Way], Answer | None]) -> Answer | None:
    """Returns what a query gives on all of the ways, one at least; None if they differ."""
    first = query(ways[0])
    return first if all(query(way) == first for way in ways[1:]) else None
