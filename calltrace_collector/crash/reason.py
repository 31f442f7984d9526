"""Why a program crashed, in one sentence."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

from calltrace_collector.crash import signals, where
from calltrace_collector.crash.codeframes import IP
from calltrace_collector.crash.fault import Fault, division_by_zero
from calltrace_collector.crash.instructions import UNDEFINED
from calltrace_collector.crash.space import AddressSpace
from calltrace_collector.model.crash import CrashFrame, CrashRecord
from calltrace_collector.symbols.demangle import demangle

_ASSERTION = re.compile(r"Assertion [`'](.*)' failed\.", re.DOTALL)
_MAX_TEXT = 400
_ABORTS = {  # functions that end in abort(), the most telling first
    "__cxa_pure_virtual": "pure virtual method called",
    "__cxa_deleted_virtual": "deleted virtual method called",
    "__stack_chk_fail": "stack smashing detected",
    "__chk_fail": "buffer overflow detected",
    "std::terminate()": "std::terminate() called",
    "abort": "abort() called",
    "__GI_abort": "abort() called",
}
_THROWS = {"__cxa_throw": "thrown", "__cxa_rethrow": "rethrown"}


def sentence(
    record: CrashRecord, space: AddressSpace, fault: Fault | None, frames: Sequence[CrashFrame]
) -> str:
    """Returns the reason.

    Args:
        record: the crash.
        space: where it happened.
        fault: the access that failed, if that was it.
        frames: innermost first.
    """
    name = signals.signal_name(record.signal)
    if record.exception is not None or record.signal == signal.SIGABRT:
        return f"{name}: {_abort(record, frames)}"
    if fault is not None:
        return f"{name}: {_access(fault, frames)}"
    return f"{name}: {_other(record, space)}{where.in_innermost(frames)}"


def _access(fault: Fault, frames: Sequence[CrashFrame]) -> str:
    if fault.is_overflow:
        return f"stack overflow{where.in_innermost(frames)}"
    if fault.address is None:
        return f"access to an address that the processor does not tell{where.in_innermost(frames)}"
    note = f" ({fault.description})" if fault.description else ""
    if fault.access == "jump" and frames and frames[0].address == fault.address:
        return f"jump to address {fault.address:#x}{note}{where.from_caller(frames)}"
    verb = f"{fault.access} to" if fault.access in ("access", "jump") else f"{fault.access} of"
    return f"{verb} address {fault.address:#x}{note}{where.in_innermost(frames)}"


def _abort(record: CrashRecord, frames: Sequence[CrashFrame]) -> str:
    place = where.in_program(frames)
    if record.exception is not None:
        (typeinfo,) = demangle([f"_ZTI{record.exception.type_name}"])
        type_name = typeinfo.removeprefix("_ZTI").removeprefix("typeinfo for ")
        what = f": {_quoted(record.exception.what)}" if record.exception.what is not None else ""
        verbs = (verb for frame in frames if (verb := _THROWS.get(frame.function or "")))
        thrown = next(verbs, "")
        return f"uncaught exception {type_name}{what}{f', {thrown}' if thrown and place else ''}{place}"
    message = " ".join(record.abort_message.split())
    if message:
        assertion = _ASSERTION.search(message)
        text = f"assertion {_quoted(assertion[1])} failed" if assertion else _quoted(message)
        return f"{text}{place}"
    functions = {frame.function for frame in frames}
    for function, text in _ABORTS.items():
        if function in functions:
            return f"{text}{place}"
    return f"{_sent(record)}{place}"


def _other(record: CrashRecord, space: AddressSpace) -> str:
    if signals.is_sent(record.code):
        return _sent(record)
    if record.signal == signal.SIGFPE and record.code == 1:
        by_zero = division_by_zero(record, space)
        if by_zero is None:
            return "integer division by zero, or of too large a number,"
        return "integer division by zero" if by_zero else "integer division whose result is too large"
    if record.signal == signal.SIGSYS and record.registers:
        return (
            f"system call {record.registers[0] & 0xFFFFFFFF} {signals.code_of(record.signal, record.code)[1]}"
        )
    if record.signal == signal.SIGILL and _code(record, space).startswith(UNDEFINED):
        return "trap instruction (ud2)"
    if record.signal == signal.SIGTRAP and record.code == signals.SI_KERNEL:
        return "breakpoint instruction"
    return signals.code_of(record.signal, record.code)[1] or f"code {record.code}"


def _code(record: CrashRecord, space: AddressSpace) -> bytes:
    """Returns the first bytes of the instruction that the signal struck at."""
    return space.read_some(record.registers[IP], len(UNDEFINED)) if record.registers else b""


def _sent(record: CrashRecord) -> str:
    meaning = signals.code_of(record.signal, record.code)[1] or f"code {record.code}"
    if record.code in (signals.SI_USER, signals.SI_TKILL, signals.SI_QUEUE) and record.sender_pid:
        return f"{meaning} by process {record.sender_pid} of user {record.sender_user_id}"
    return meaning


def _quoted(text: str) -> str:
    """Returns the text in quotes, on one line, and not too long."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return f'"{plain[:_MAX_TEXT]}..."' if len(plain) > _MAX_TEXT else f'"{plain}"'
