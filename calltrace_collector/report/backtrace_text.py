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
"""Of a long trace, so many frames are shown at its ends."""
_LINES_AROUND = 3
_SOURCE_MARGIN = " " * 6


def print_backtrace(frames: Sequence[CrashFrame], lines: StyledLines) -> None:
    """Prints frames, the innermost first. The first one whose source is there comes with lines around."""
    left_out = len(frames) - _INNERMOST - _OUTERMOST
    has_source = False
    width = len(str(len(frames) - 1))
    for number, frame in enumerate(frames):
        if left_out > 1 and number == _INNERMOST:
            lines.write((f"    … {counted(left_out, 'frame')} between: --format json has all", "dim italic"))
        if left_out > 1 and _INNERMOST <= number < _INNERMOST + left_out:
            continue
        _print_frame(f"#{number:<{width}}", frame, lines)
        has_source |= _print_source(frame, lines, 0 if has_source else _LINES_AROUND)


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
