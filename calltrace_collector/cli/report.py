"""calltrace report: calls and times of each function."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from calltrace_collector.cli.notes import note, note_choice, note_losses
from calltrace_collector.cli.options import common, of_process, output_format
from calltrace_collector.query.processes import choose
from calltrace_collector.query.stats import FunctionStats, function_stats
from calltrace_collector.report.functions import function_fields, print_functions
from calltrace_collector.report.json_text import json_text
from calltrace_collector.report.units import counted
from calltrace_collector.store.reader import Reader

_SORT_KEYS: dict[str, Callable[[FunctionStats], int]] = {
    "total": lambda stats: -stats.total_ns,
    "self": lambda stats: -stats.self_ns,
    "calls": lambda stats: -stats.calls,
    "min": lambda stats: -(stats.min_ns or 0),
    "max": lambda stats: -(stats.max_ns or 0),
    "p50": lambda stats: -(stats.p50_ns or 0),
    "p99": lambda stats: -(stats.p99_ns or 0),
    "name": lambda _: 0,
}


@click.command("report")
@of_process
@click.option(
    "--sort",
    type=click.Choice(list(_SORT_KEYS)),
    default="total",
    show_default=True,
    help="What the functions are sorted by, largest first; names from A to Z.",
)
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="Only the first N functions.")
@output_format("table", "json")
@common
def report(
    db: str | None, process: int | None, pid: int | None, sort: str, limit: int | None, output_format: str
) -> None:
    """Print how often each function of a process was called, and how long it took.

    TOTAL is the time in a function and all it calls, with recursion counted once; SELF is the time in the
    function's own code. MIN, MAX and the percentiles P50 (the median) and P99 are durations of single calls.
    Counts, sums, MIN and MAX are exact; percentiles are within 5%. A call that has not ended is counted in
    CALLS, and nowhere else.

    \b
    Examples:
      calltrace report
      calltrace report --pid 1234 --sort self --limit 20
      calltrace report --format json | jq '.[] | select(.calls > 1000) | .function'
    """  # noqa: D301 click's mark for text that is not to be filled
    with Reader(db) as reader:
        chosen = choose(reader, process=process, pid=pid)
        note_choice(chosen)
        stats = function_stats(reader, chosen.process.id)
        clock_is_exact = reader.clock(chosen.process.id).rate_is_known
    stats.sort(key=lambda each: (_SORT_KEYS[sort](each), each.function.name))
    if output_format == "json":
        click.echo(json_text([function_fields(each) for each in stats[:limit]]))
    else:
        print_functions(stats[:limit], sys.stdout)
    note_losses(chosen.process)
    unended = sum(each.calls - each.completed for each in stats)
    if unended:
        note(f"{counted(unended, 'call')} had not ended: counted, but without time")
    if not clock_is_exact:
        note("how long a clock tick is, this process ended too soon to tell: times are ticks")
