"""calltrace ps: the processes that were traced."""

from __future__ import annotations

import sys

import click

from calltrace_collector.cli.options import PID, common, output_format
from calltrace_collector.errors import NotFoundError
from calltrace_collector.report.json_text import json_text
from calltrace_collector.report.processes import print_processes, process_fields
from calltrace_collector.store.location import shown
from calltrace_collector.store.reader import Reader


@click.command("ps")
@click.option("--pid", metavar="N", type=PID, help="Only processes with this pid.")
@click.option("--host", metavar="NAME", help="Only processes of this machine: its name or machine id.")
@click.option("--limit", metavar="N", type=click.IntRange(1, 10**9), help="Only the newest N.")
@output_format("table", "json")
@common
def ps(db: str | None, pid: int | None, host: str | None, limit: int | None, output_format: str) -> None:
    """List the processes that were traced, newest first.

    Other commands name one by its number in the first column (--process) or by its pid (--pid).

    \b
    Examples:
      calltrace ps
      calltrace ps --limit 10
      calltrace ps --format json | jq '.[] | select(.state == "crashed")'
    """  # noqa: D301 click's mark for text that is not to be filled
    with Reader(db) as reader:
        found = reader.processes(pid=pid, host=host, limit=limit)
    if not found and (pid is not None or host is not None):
        raise NotFoundError("no such process is stored: calltrace ps lists all")
    if output_format == "json":
        click.echo(json_text([process_fields(process) for process in found]))
    elif found:
        print_processes(found, sys.stdout)
    elif pid is None and host is None:
        click.echo(f"calltrace: no process is stored in {shown(reader.url)} yet", err=True)
