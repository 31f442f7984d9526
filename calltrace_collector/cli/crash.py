"""calltrace crash: one crash."""

from __future__ import annotations

import sys

import click

from calltrace_collector.cli.notes import note_losses
from calltrace_collector.cli.options import COUNT, PID, common, output_format
from calltrace_collector.crash.analyze import Analyzer
from calltrace_collector.query.crashes import choose_crash, crash_report
from calltrace_collector.report.crash_json import report_fields
from calltrace_collector.report.crash_text import CrashText
from calltrace_collector.report.json_text import json_text
from calltrace_collector.store.reader import Reader

LAST_CALLS = 20


@click.command("crash")
@click.option(
    "--process",
    metavar="ID",
    type=click.IntRange(1, (1 << 63) - 1),
    help="The crash of the process with this number in calltrace ps. Default: the newest crash.",
)
@click.option("--pid", metavar="N", type=PID, help="The newest crash of a process with this process id.")
@click.option(
    "--last-calls",
    metavar="N",
    type=COUNT,
    default=LAST_CALLS,
    show_default=True,
    help="Show the last N calls that the crashing thread made.",
)
@click.option(
    "--again",
    is_flag=True,
    help="Analyze what the crash has left again: with debug information that was installed since, say.",
)
@output_format("text", "json")
@common
def crash(
    db: str | None, process: int | None, pid: int | None, last_calls: int, again: bool, output_format: str
) -> None:
    """Show a crash: why, where, and what came before it.

    The backtrace has the frames of all functions; those with a * were traced. Source lines are shown where
    the source files are.

    \b
    Examples:
      calltrace crash
      calltrace crash --process 12 --last-calls 100
      calltrace crash --format json | jq -r '.backtrace[].function_name'
    """  # noqa: D301 click's mark for text that is not to be filled
    with Reader(db) as reader:
        chosen = choose_crash(reader, process=process, pid=pid)
        report = crash_report(reader, chosen, Analyzer(), last_calls=last_calls, anew=again)
        if output_format == "json":
            click.echo(json_text(report_fields(report)))
        else:
            CrashText(report, sys.stdout).print()
    note_losses(report.recording.process)
