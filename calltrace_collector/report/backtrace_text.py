"""Stack traces as text: a frame a line, with its source line where the source is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from calltrace_collector.model.crash import CrashFrame
from calltrace_collector.report.source import source_lines
from calltrace_collector.report.styled import StyledLines
from calltrace_collector.report.units import counted, printable

_INNERMOST = 40
_OUTERMOST = 10
"""Of a long trace, so many lines are shown at its ends; frames of a recursion are one line."""
_LINES_AROUND = 3
_SOURCE_MARGIN = " " * 6


def print_backtrace(frames: Sequence[CrashFrame], lines: StyledLines) -> None:
    """Prints frames, the innermost first. The first one whose source is there comes with lines around."""
    runs = _runs(frames)
    left_out = len(runs) - _INNERMOST - _OUTERMOST
    has_source = False
    width = len(str(len(frames) - 1))
    for at, (first, count) in enumerate(runs):
        if left_out > 1 and _INNERMOST <= at < _INNERMOST + left_out:
            if at == _INNERMOST:
                between = runs[at + left_out][0] - first
                lines.write(
                    (f"    … {counted(between, 'frame')} between: --format json has all", "dim italic")
                )
            continue
        _print_frame(f"#{first:<{width}}", frames[first], lines)
        has_source |= _print_source(frames[first], lines, 0 if has_source else _LINES_AROUND)
        if count > 1:
            last = f"#{first + count - 1}"
            lines.write((f"    … {counted(count - 1, 'more frame')} like it, up to {last}", "dim italic"))


def _runs(frames: Sequence[CrashFrame]) -> list[tuple[int, int]]:
    """Frames that look the same and follow each other: number of the first, and how many."""
    runs: list[tuple[int, int]] = []
    for number, frame in enumerate(frames):
        before = frames[runs[-1][0]] if runs else None
        if before is not None and not frame.is_signal_frame and _look(before) == _look(frame):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((number, 1))
    return runs


def _look(frame: CrashFrame) -> tuple[object, ...]:
    place = frame.address, frame.module_offset, frame.function, frame.file, frame.line
    return *place, frame.inlined, frame.call is None


def _print_frame(number: str, frame: CrashFrame, lines: StyledLines) -> None:
    mark = "* " if frame.call is not None else "  "
    if frame.is_signal_frame:
        lines.write((f"{mark}{number}  ", "cyan"), ("<signal handler called>", "dim"))
        return
    lines.write(
        (mark, "green"),
        (f"{number}  ", "cyan"),
        (printable(frame.function or "??"), "bold"),
        *_place(frame),
        ("  (inlined)" if frame.inlined else "", "dim"),
    )


def _place(frame: CrashFrame) -> list[tuple[str, str]]:
    """Where a frame is: its source line or, where that is unknown, its place in the file it is in."""
    if frame.file is not None:
        return [(" at ", "dim"), (printable(f"{frame.file}:{frame.line or '?'}"), "")]
    offset = f" + {frame.function_offset:#x}" if frame.function and frame.function_offset is not None else ""
    if frame.module is None or frame.module_offset is None:
        return [(offset, "dim"), (f" at {frame.address:#x}", "")]
    module = PurePath(frame.module).name or frame.module
    return [(offset, "dim"), (" in ", "dim"), (printable(f"{module}+{frame.module_offset:#x}"), "")]


def _print_source(frame: CrashFrame, lines: StyledLines, around: int) -> bool:
    """Prints a frame's source line and those around it; returns whether it is there."""
    if frame.file is None or frame.line is None:
        return False
    found = source_lines(frame.file, frame.line, around)
    width = len(str(found[-1].number)) if found else 0
    for line in found:
        is_it = line.number == frame.line
        lines.write(
            (_SOURCE_MARGIN, ""),
            ("> " if is_it else "  ", "red"),
            (f"{line.number:>{width}} | ", "dim"),
            (printable(line.text), "bold" if is_it and around else "dim"),
        )
    return bool(found)
