"""A crash as text: why, where, and what came before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from calltrace_collector.model.crash import signal_name
from calltrace_collector.model.process import ProcessState
from calltrace_collector.query.crashes import CrashReport, ThreadAtCrash
from calltrace_collector.query.moment import PastCall
from calltrace_collector.report.backtrace_text import print_backtrace
from calltrace_collector.report.crashes import reason
from calltrace_collector.report.processes import command, state
from calltrace_collector.report.styled import Part, StyledLines
from calltrace_collector.report.units import (
    DURATION_WIDTH,
    aligned_duration,
    counted,
    duration,
    moment,
    printable,
    rfc3339,
)

_THREADS = 16
_OUTERMOST = 4
_INNERMOST = 12
"""Of many threads, and of many open calls, so many are shown."""
_DEEPEST_INDENTED = 40
_REGISTERS_A_LINE = 3
_SEGMENTS = ("cs", "gs", "fs", "ss")


class CrashText:
    """Prints a crash.

    Args:
        report: the crash.
        out: stdout, say. On a terminal lines are coloured.
    """

    def __init__(self, report: CrashReport, out: TextIO) -> None:
        self._report = report
        self._lines = StyledLines(out)

    def print(self) -> None:
        """Prints all of it."""
        report, write = self._report, self._lines.write
        process = report.recording.process
        write(
            ("process ", "dim"),
            (f"{process.id}  {command(process)}", "bold"),
            (f"  pid {process.pid}, {moment(process.started_at_ns)} UTC, {state(process)}", "dim"),
        )
        write()
        write((printable(reason(report.crash)), "bold red"))
        write()
        for name, text in self._facts():
            write((f"{name:<10}", "dim"), (printable(text), ""))
        self._print_backtrace()
        self._print_last_calls()
        self._print_open_calls()
        self._print_registers()

    def _facts(self) -> Iterator[tuple[str, str]]:
        """What is known besides, and under which name."""
        crash = self._report.crash
        code = f"{crash.code_name or f'code {crash.code}'}"
        meaning = f": {crash.code_meaning}" if crash.code_meaning else ""
        yield "signal", f"{crash.signal_name} ({crash.signal}), {code}{meaning}"
        if crash.fault_address is not None:
            what = f": {crash.fault_description}" if crash.fault_description else ""
            yield "address", f"{crash.fault_address:#x}{what}"
        if crash.sender_pid is not None:
            its_own = crash.sender_pid == self._report.recording.process.pid
            yield "sent by", "the process itself" if its_own else f"process {crash.sender_pid}"
        if self._report.exception_type is not None:
            what = f": {crash.exception_what}" if crash.exception_what is not None else ""
            yield "exception", f"{self._report.exception_type}{what}"
        if crash.abort_message:
            yield "message", crash.abort_message.strip()
        number = "" if crash.thread is None else f"{crash.thread} "
        untraced = ", which made no traced call" if crash.thread is None else ""
        yield "thread", f"{number}{crash.thread_name or '?'}, tid {crash.tid}{untraced}"
        after_ns = crash.crashed_at_ns - self._report.recording.process.started_at_ns
        yield "time", f"{rfc3339(crash.crashed_at_ns)}, {duration(max(0, after_ns))} after tracing began"
        if end := self._end():
            yield "end", end

    def _end(self) -> str:
        """How the process ended, where that is not by the signal itself."""
        crash, process = self._report.crash, self._report.recording.process
        if process.signal == crash.signal:
            return "the program's own handler ran before" if crash.handled else ""
        how = {
            ProcessState.EXITED: f"it exited with {process.exit_code}",
            ProcessState.EXECED: "another program took its place (exec)",
        }.get(process.state, "it was killed")
        if process.signal is not None:
            how = f"{signal_name(process.signal)} killed it"
        return f"the program's own handler ran, then {how}" if crash.handled else how

    def _heading(self, text: str, remark: str = "") -> None:
        self._lines.write()
        self._lines.write((text, "bold cyan"), (f"  {remark}" if remark else "", "dim"))

    def _print_backtrace(self) -> None:
        report = self._report
        is_any_traced = any(frame.call is not None for frame in report.frames)
        self._heading("backtrace", "(* traced)" if is_any_traced else "")
        print_backtrace(report.frames, self._lines)
        incomplete, until = report.crash.incomplete, report.crash.unwound_until
        for text in (incomplete if incomplete not in until else "", until):
            if text:
                self._lines.write(("  ! ", "yellow"), (printable(text), "yellow"))

    def _print_last_calls(self) -> None:
        calls = self._report.last_calls
        if not calls:
            return
        self._heading(
            "last calls", "of the crashing thread: how long before the crash, and how long they took"
        )
        shallowest = min(call.depth for call in calls)
        for call in calls:
            took = "open" if call.duration_ns is None else aligned_duration(call.duration_ns)
            self._lines.write(
                (f"{'-' + aligned_duration(call.since_ns).lstrip():>{DURATION_WIDTH + 1}}", "green"),
                (f"  {took:>{DURATION_WIDTH}}  ", "dim"),
                self._name(call, call.depth - shallowest),
            )

    def _name(self, call: PastCall, indent: int) -> Part:
        name = self._report.recording.names.function(call.site).name
        return "  " * min(indent, _DEEPEST_INDENTED) + printable(name), ""

    def _print_open_calls(self) -> None:
        threads = self._report.threads
        if not any(each.calls for each in threads):
            return
        self._heading("open calls", "for how long")
        for each in threads[:_THREADS]:
            self._print_thread(each)
        if len(threads) > _THREADS:
            more = counted(len(threads) - _THREADS, "more thread")
            self._lines.write((f"… {more}: --format json has all", "dim italic"))

    def _print_thread(self, at_crash: ThreadAtCrash) -> None:
        thread = at_crash.thread
        remark = "" if thread.stack_of is None else f", a stack of thread {thread.stack_of}"
        remark += ", crashed" if at_crash.crashed else ""
        self._lines.write(
            ("thread ", "dim"),
            (f"{thread.number} {printable(thread.name)}".rstrip(), "cyan"),
            (f"  tid {thread.tid}, {counted(len(at_crash.calls), 'open call')}{remark}", "dim"),
        )
        left_out = len(at_crash.calls) - _OUTERMOST - _INNERMOST
        for at, call in enumerate(_ends(at_crash.calls)):
            if left_out > 1 and at == _OUTERMOST:
                self._lines.write((" " * 16 + f"… {counted(left_out, 'call')} between", "dim italic"))
            self._lines.write(
                (f" {aligned_duration(call.since_ns):>{DURATION_WIDTH}}  ", "green"), self._name(call, at)
            )

    def _print_registers(self) -> None:
        registers = self._report.crash.registers
        if not registers:
            return
        self._heading("registers")
        wide = [
            f"{name:>7} {int(value, 16):#018x}" for name, value in registers.items() if name not in _SEGMENTS
        ]
        for at in range(0, len(wide), _REGISTERS_A_LINE):
            self._lines.write(("  ".join(wide[at : at + _REGISTERS_A_LINE]), ""))
        segments = "  ".join(f"{name} {registers[name]}" for name in _SEGMENTS if name in registers)
        self._lines.write((f"     {segments}", ""))


def _ends(calls: Sequence[PastCall]) -> Sequence[PastCall]:
    """The calls, but of many only those at the ends."""
    if len(calls) - _OUTERMOST - _INNERMOST <= 1:
        return calls
    return [*calls[:_OUTERMOST], *calls[-_INNERMOST:]]
