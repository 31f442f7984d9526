"""Where the values that a function was entered with are, when it calls the entry hook.

The prologue is followed from the function's start to the call, on what the registers held on entry. Then each
register and each place on the stack that is still there at the hook is read backwards: what does it tell of
a register's value on entry? Calls of other functions in between lose the caller-saved registers and memory.
What lies below the stack pointer at the hook is lost.
"""

from __future__ import annotations

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Expression, Value
from calltrace_collector.capture.machine.instructions import Flow, Refusal
from calltrace_collector.capture.machine.registers import RSP
from calltrace_collector.capture.machine.state import Code, State
from calltrace_collector.capture.trace.entry_values import Values
from calltrace_collector.capture.trace.walk import (
    NEVER_RETURN,
    UNWINDS,
    Budget,
    UntraceableError,
    common,
    taken,
    target_name,
    until_branch,
)
from calltrace_collector.symbols.probe import HOOKS

__all__ = ["EntryTrace", "trace_entry"]

_GENERAL: list[Value] = [("in", number) for number in range(16)]
_XMM: list[Value] = [("xin", number, half) for number in range(16) for half in (0, 1)]


class EntryTrace:
    """What can be told at the entry hook of a function's registers and stack on entry.

    Expressions are over what the hook sees. Where several ways lead to the hook, they hold for each.
    """

    def __init__(self, arrivals: list[State]) -> None:
        self._ways = [Values(state) for state in arrivals]

    def register(self, number: int, size: int) -> Expression | None:
        """Returns the lowest `size` bytes (at most 8) of what a general register held.

        Args:
            number: by DWARF.
            size: 3, 5, 6 and 7 too; then the bytes above are of no meaning.

        Returns:
            None where it cannot be told.
        """
        return self._found(("in", number), size)

    def xmm(self, number: int, half: int, size: int) -> Expression | None:
        """Returns the lowest `size` bytes of half an xmm register (0: the lower); None: it cannot be told."""
        return self._found(("xin", number, half), size)

    def stack(self, offset: int, size: int) -> Expression | None:
        """Returns the address of bytes on the stack, if nothing has been written there since the entry.

        Args:
            offset: from the stack pointer on entry: 0 is the return address, 8 the first argument.
            size: in bytes.
        """
        return common(self._ways, lambda way: way.stack(offset, size))

    def at_hook(self, number: int) -> Expression | None:
        """Returns what a general register holds when the hook is called, over what there was on entry.

        None: it cannot be told, or differs between ways to the hook.
        """
        return common(self._ways, lambda way: way.at_hook(number))

    @property
    def frame_bytes(self) -> int | None:
        """How far the stack pointer at the hook is from that on entry (negative); None: it cannot be told."""
        top = self.at_hook(RSP)
        base, distance = ex.split(top) if top is not None else (None, 0)
        return distance if base == ex.STACK else None

    def _found(self, atom: Expression, size: int) -> Expression | None:
        if not 1 <= size <= 8:
            return None
        first, *others = self._ways
        return first.value(atom, size, others)


def trace_entry(code: Code, function_offset: int, return_offset: int) -> EntryTrace | Refusal:
    """Follows a function from its start to a call of the entry hook.

    Args:
        code: the file's.
        function_offset: where the function starts, in the file's own numbering.
        return_offset: where the hook returns to.
    """
    budget = Budget()
    pending = [(function_offset, State(code, _GENERAL.copy(), _XMM.copy()))]
    arrivals: list[State] = []
    try:
        while pending:
            address, state = pending.pop()
            ways = _follow(code, address, state, return_offset, budget)
            if ways is None:
                arrivals.append(state)
            else:
                pending.extend(ways)
    except UntraceableError as error:
        return Refusal(str(error))
    return (
        EntryTrace(arrivals)
        if arrivals
        else Refusal("the hook is not called on a way from the function's start")
    )


def _follow(
    code: Code, address: int, state: State, return_offset: int, budget: Budget
) -> list[tuple[int, State]] | None:
    """Follows one way to where it ends or forks, changing the state.

    Returns:
        Where it goes on, and with what state; None: it has come to the call.
    """
    for after, step in until_branch(code, address, state, budget):
        if step.flow == Flow.NEXT:
            continue
        if step.flow in (Flow.RETURN, Flow.END):
            return []
        if step.flow == Flow.CALL:
            if after == return_offset:
                return None
            name = target_name(code, after, step)
            if name in HOOKS:
                raise UntraceableError("another hook is called before")
            if name in NEVER_RETURN or name in UNWINDS:
                return []
            state.call()
            continue
        if step.target is None:
            raise UntraceableError("the code there jumps through a pointer")
        if step.flow == Flow.JUMP:
            return [(after + step.target, state)]
        condition = taken(state, step)
        if condition is not None and condition[0] == "const":
            return [(after + (step.target if condition[1] else 0), state)]
        budget.fork()
        return [(after + step.target, state.copy()), (after, state)]
    return []
