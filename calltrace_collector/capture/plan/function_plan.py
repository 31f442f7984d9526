"""What is captured of one function: the items of its arguments at one hook, of its result at another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.instructions import Refusal
from calltrace_collector.capture.plan.items import Captured, argument, result, unavailable
from calltrace_collector.capture.plan.parts import at_entry, at_exit, is_kept
from calltrace_collector.capture.plan.program import PROGRAM_BYTES, frame_item
from calltrace_collector.capture.signature.subprogram import Parameter, ReturnValue
from calltrace_collector.capture.trace.entry_trace import EntryTrace
from calltrace_collector.capture.trace.exit_trace import ExitTrace
from calltrace_collector.model.capture import Item, Layout

__all__ = ["INLINED", "HookProgram", "arguments", "results", "without_values"]

INLINED = "this copy of the function is inlined"
_OVERWRITTEN = "it is overwritten before the hook is called"
_UNUSED = "callers need not pass what the function does not use"
_LATER = "it is not known yet when the hook is called"
_TOO_MANY = "the arguments take too long a program"


@dataclass(frozen=True, slots=True)
class HookProgram:
    """What a hook's program leaves, and the program."""

    layout: Layout
    code: bytes


def arguments(parameters: Sequence[Parameter], trace: EntryTrace | Refusal) -> HookProgram:
    """Returns how a function's arguments are captured."""
    return _joined(_argument(parameter, trace) for parameter in parameters)


def results(returned: ReturnValue, trace: ExitTrace | Refusal, frame_bytes: int | None) -> HookProgram:
    """Returns how what a function returns is captured.

    Args:
        returned: what that is.
        trace: from the exit hook on.
        frame_bytes: EntryTrace.frame_bytes of the function's entry hook; None: not known.
    """
    program = _joined([_result(returned, trace)])
    if isinstance(trace, Refusal) or frame_bytes is None or not program.code:
        return program
    return replace(program, code=_frame(trace, frame_bytes) + program.code)


def _frame(trace: ExitTrace, frame_bytes: int) -> bytes:
    """Returns an item that names the call by its entry hook's stack pointer, if the exit hook has another."""
    entered_with = trace.entered_with()
    if entered_with is None:
        return b""
    stack_pointer = ex.offset_by(entered_with, frame_bytes)
    return b"" if stack_pointer == ex.STACK_POINTER else frame_item(stack_pointer)


def without_values(parameters: Iterable[Parameter | ReturnValue], reason: str) -> HookProgram:
    """Returns a program that leaves nothing, for one reason."""
    return _joined(
        unavailable(one.name if isinstance(one, Parameter) else "", one.type, reason) for one in parameters
    )


def _argument(parameter: Parameter, trace: EntryTrace | Refusal) -> Captured:
    if parameter.pieces is None:
        return unavailable(parameter.name, parameter.type, parameter.reason or _OVERWRITTEN)
    if not parameter.pieces:
        return argument(parameter, [])
    if isinstance(trace, Refusal):
        return unavailable(parameter.name, parameter.type, trace.reason)
    parts = at_entry(parameter.pieces, trace)
    if parts is None:
        return unavailable(parameter.name, parameter.type, _OVERWRITTEN)
    if parameter.is_skipped_unused and not all(map(is_kept, parts)):
        return unavailable(parameter.name, parameter.type, _UNUSED)
    return argument(parameter, parts)


def _result(returned: ReturnValue, trace: ExitTrace | Refusal) -> Captured:
    if returned.pieces is None:
        return unavailable("", returned.type, returned.reason or _LATER)
    if not returned.pieces:
        return result(returned, [], [])
    if isinstance(trace, Refusal):
        return unavailable("", returned.type, trace.reason)
    parts = at_exit(returned.pieces, trace)
    if parts is None:
        return unavailable("", returned.type, _LATER)
    return result(returned, returned.pieces, parts)


def _joined(captured: Iterable[Captured]) -> HookProgram:
    """Puts items together, as many as a program has room for."""
    items: list[Item] = []
    code = bytearray()
    for one in captured:
        if len(code) + len(one.code) > PROGRAM_BYTES:
            items.append(unavailable(one.item.name, one.item.type, _TOO_MANY).item)
        else:
            items.append(one.item)
            code += one.code
    return HookProgram(Layout(tuple(items)), bytes(code))
