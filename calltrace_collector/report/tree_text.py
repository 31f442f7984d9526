"""Call trees as text: a call a line, its duration to the left, indented by its depth."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from calltrace_collector.model.process import CallStatus, ProcessState
from calltrace_collector.query.recording import Recording
from calltrace_collector.query.thread_calls import LOST, OPEN
from calltrace_collector.query.tree_lines import (
    Ancestor,
    AncestorsLeftOut,
    Call,
    Deeper,
    Gap,
    Inherited,
    Rest,
    ThreadStart,
    TreeLine,
)
from calltrace_collector.report.call_text import call_text, returned_text
from calltrace_collector.report.processes import command, state
from calltrace_collector.report.threads import creator_name
from calltrace_collector.report.units import DURATION_WIDTH, aligned_duration, counted, moment, printable

_INDENT = 2
_DEEPEST_INDENTED = 100
"""In plain text. Deeper calls say how deep they are: the lines of 100,000 levels would take gigabytes."""
_LEAST_ROOM_FOR_NAMES = 40
_MARGIN = DURATION_WIDTH + 3

_REMARKS = {
    CallStatus.RETURNED: "",
    CallStatus.UNWOUND: "unwound by an exception",
    CallStatus.ABANDONED: "left without a return",
    CallStatus.OPEN: "never returned",
    CallStatus.CRASHED: "open at the crash",
    CallStatus.CUT: "deeper calls not recorded",
    CallStatus.LOST: "its end was dropped",
}


class TreeText:
    """Prints trees.

    Args:
        recording: the process whose trees they are.
        out: stdout, say. On a terminal (rich decides, and obeys NO_COLOR) lines are coloured, guides lead
            the eye, and what does not fit is cut.
        is_filtered: the trees are of the calls that pass a filter.
        with_source: show file and line of functions.
    """

    def __init__(
        self, recording: Recording, out: TextIO, *, is_filtered: bool = False, with_source: bool = False
    ) -> None:
        self._recording = recording
        self._out = out
        self._console = Console(file=out, highlight=False)
        self._is_terminal = self._console.is_terminal
        self._is_filtered = is_filtered
        self._with_source = with_source
        self._names: dict[int, tuple[str, str]] = {}
        self._remarks = [_remark(status, recording) for status in recording.statuses]
        room = (self._console.width - _MARGIN - _LEAST_ROOM_FOR_NAMES) // _INDENT
        self._deepest = max(4, min(room, _DEEPEST_INDENTED)) if self._is_terminal else _DEEPEST_INDENTED

    def print(self, lines: Iterable[TreeLine]) -> int:
        """Prints trees as they come; returns the number of calls printed."""
        process = self._recording.process
        self._write(
            ("process ", "dim"),
            (f"{process.id}  {command(process)}", "bold"),
            (f"  pid {process.pid}, {moment(process.started_at_ns)} UTC, {state(process)}", "dim"),
        )
        calls = 0
        for line in lines:
            calls += isinstance(line, Call)
            self._print_line(line)
        return calls

    def _print_line(self, line: TreeLine) -> None:
        match line:
            case Call():
                self._print_call(line)
            case Inherited():
                where = f"  [began in process {line.call.process}, which forked this one]"
                self._print_at(line.depth, (printable(line.call.function.name), "dim"), (where, "yellow"))
            case Ancestor():
                name, source = self._name(line.site)
                text = call_text(name, line.arguments, line.returned)
                self._print_at(line.depth, (text, "dim"), (self._returned(line), "dim"), (source, "dim"))
            case AncestorsLeftOut():
                self._print_at(line.depth, (f"… {counted(line.calls, 'caller')} between", "dim italic"))
            case Deeper():
                what = "matching call" if self._is_filtered else "call"
                self._print_at(line.depth, (f"… {counted(line.calls, what)} deeper", "dim italic"))
            case Gap():
                self._print_at(line.depth, (f"! {_gap(line)}", "red"))
            case Rest():
                what = "more matching call" if self._is_filtered else "more call"
                text = f"… {counted(line.calls, what)} of this thread: --limit 0 shows all"
                self._print_at(0, (text, "dim italic"))
            case ThreadStart():
                self._print_thread(line)

    def _print_thread(self, line: ThreadStart) -> None:
        thread = line.thread
        creator = creator_name(self._recording, thread)
        created_by = f", created by {creator}" if creator else ""
        if thread.stack_of is not None:
            created_by = f", a stack of thread {thread.stack_of}"
        self._write()
        self._write(
            ("thread ", "dim"),
            (f"{thread.number} {printable(thread.name)}".rstrip(), "bold cyan"),
            (f"  tid {thread.tid}, {counted(thread.calls, 'call')}{created_by}", "dim"),
        )

    def _print_call(self, line: Call) -> None:
        duration = aligned_duration(line.duration_ns)
        is_endless = line.status in (OPEN, LOST)
        name, source = self._name(line.site)
        remark = self._remarks[line.status]
        self._print_at(
            line.depth,
            (call_text(name, line.arguments, line.returned), ""),
            (self._returned(line), ""),
            (source, "dim"),
            (f"  [{remark}]" if remark else "", "yellow"),
            # Of a call without an end, it is known how long it was open at least.
            margin=f"{'>' if is_endless else ' '}{duration:>{DURATION_WIDTH}}",
        )

    def _returned(self, line: Call | Ancestor) -> str:
        text = returned_text(line.returned)
        if not self._is_terminal:
            return text
        return _cut(text, max(self._console.width // 3, _LEAST_ROOM_FOR_NAMES // 2))

    def _print_at(self, depth: int, *parts: tuple[str, str], margin: str = "") -> None:
        """Prints a line, indented by a depth, with a duration or nothing in the margin."""
        indent = min(depth, self._deepest)
        guide = "│ " if self._is_terminal else "  "
        lead = guide * indent + (f"[{depth}] " if depth > indent else "")
        (name, style), *rest = parts
        if self._is_terminal:
            room = self._console.width - _MARGIN - sum(cell_len(text) for text, _ in [(lead, ""), *rest])
            name = _cut(name, max(room, _LEAST_ROOM_FOR_NAMES // 2))
        self._write((f"{margin:<{_MARGIN}}", "green"), (lead, "dim"), (name, style), *rest)

    def _write(self, *parts: tuple[str, str]) -> None:
        if not self._is_terminal:
            self._out.write("".join(text for text, _ in parts).rstrip() + "\n")
            return
        text = Text()
        for part, style in parts:
            text.append(part, style)
        self._console.print(text, soft_wrap=True)

    def _name(self, site: int) -> tuple[str, str]:
        """The name of the function that a site enters, and file and line if they are wanted."""
        kept = self._names.get(site)
        if kept is not None:
            return kept
        function = self._recording.names.function(site)
        source = ""
        if self._with_source and function.file is not None:
            source = f"  {PurePath(function.file).name}:{function.line}"
        return self._names.setdefault(site, (printable(function.name), printable(source)))


def _remark(status: CallStatus, recording: Recording) -> str:
    if status == CallStatus.OPEN and recording.process.state == ProcessState.RUNNING:
        return "still open"
    return _REMARKS[status]


def _gap(gap: Gap) -> str:
    parts = []
    if gap.dropped_events:
        parts.append(f"{counted(gap.dropped_events, 'event')} dropped here")
    if gap.orphan_exits:
        parts.append(f"{counted(gap.orphan_exits, 'exit')} without an entry")
    return ", ".join(parts)


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"
