"""What functions cost, as `calltrace report` shows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, TextIO

from calltrace_collector.query.stats import FunctionStats
from calltrace_collector.report.table import Column, print_table
from calltrace_collector.report.units import aligned_duration, count, printable

_COLUMNS = (
    Column("CALLS", right=True),
    Column("TOTAL", right=True, style="bold"),
    Column("SELF", right=True),
    Column("MIN", right=True, style="dim"),
    Column("P50", right=True),
    Column("P99", right=True),
    Column("MAX", right=True, style="dim"),
    Column("FUNCTION", style="bold", is_elastic=True),
    Column("WHERE", style="dim", is_elastic=True),
)


def function_fields(stats: FunctionStats) -> dict[str, Any]:
    """Returns a function's sums as JSON has them."""
    function = stats.function
    return {
        "function": function.name,
        "linkage_name": function.linkage_name,
        "module": function.module,
        "file": function.file,
        "line": function.line,
        "calls": stats.calls,
        "total_ns": stats.total_ns,
        "self_ns": stats.self_ns,
        "min_ns": stats.min_ns,
        "max_ns": stats.max_ns,
        "p50_ns": stats.p50_ns,
        "p99_ns": stats.p99_ns,
    }


def print_functions(stats: Sequence[FunctionStats], out: TextIO) -> None:
    """Prints a table, a function a line."""
    print_table(_COLUMNS, [_row(each) for each in stats], out)


def _row(stats: FunctionStats) -> tuple[str, ...]:
    def time(ns: int | None) -> str:
        return "-  " if ns is None else aligned_duration(ns)

    function = stats.function
    where = PurePath(function.module).name if function.module else ""
    if function.file is not None:
        where = f"{PurePath(function.file).name}:{function.line}"
    return (
        count(stats.calls),
        time(stats.total_ns if stats.completed else None),
        time(stats.self_ns if stats.completed else None),
        time(stats.min_ns),
        time(stats.p50_ns),
        time(stats.p99_ns),
        time(stats.max_ns),
        printable(function.name),
        printable(where),
    )
