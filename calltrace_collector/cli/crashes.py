"""calltrace crashes: the crashes of traced programs."""

from __future__ import annotations

import json
import sys

import click

from calltrace_collector.cli.options import PID, common, output_format
from calltrace_collector.cli.parameters import moment
from calltrace_collector.errors import NotFoundError
from calltrace_collector.report.crash_json import crash_fields
from calltrace_collector.report.crashes import print_crashes
from calltrace_collector.report.json_text import json_text
from calltrace_collector.store.location import shown
from calltrace_collector.store.reader import Reader


@click.command("crashes")
@click.option("--pid", metavar="N", type=PID, help="Only crashes of processes with this pid.")
@click.option("--host", metavar="NAME", help="Only crashes on this machine: its name or machine id.")
@click.option(
    "--since",
    metavar="TIME",
    type=moment,
    help="Only crashes at this time or later: 2026-01-31T12:00:00.5Z, or 5m for five minutes ago.",
)
@click.option("--until", metavar="TIME", type=moment, help="Only crashes at this time or earlier.")
@click.option("--limit", metavar="N", type=click.IntRange(1, 10**9), help="Only the newest N.")
@output_format("table", "json", "jsonl", explained="A table; one JSON array; or one JSON object a line.")
@common
def crashes(
    db: str | None,
    pid: int | None,
    host: str | None,
    since: int | None,
    until: int | None,
    limit: int | None,
    output_format: str,
) -> None:
    """List the crashes of traced programs, newest first.

    A program whose own handler dealt with the signal and then ended is listed as well.

    \b
    Examples:
      calltrace crashes
      calltrace crashes --since 1h --host build7
      calltrace crashes --format jsonl | jq -r .reason | sort | uniq -c
    """  # noqa: D301 click's mark for text that is not to be filled
    with Reader(db) as reader:
        found = reader.crashes(pid=pid, host=host, since_ns=since, until_ns=until, limit=limit)
    has_filter = any(each is not None for each in (pid, host, since, until))
    if not found and has_filter:
        raise NotFoundError("no such crash is stored: calltrace crashes lists all")
    if output_format == "json":
        click.echo(json_text([crash_fields(crash) for crash in found]))
    elif output_format == "jsonl":
        for crash in found:
            click.echo(json.dumps(crash_fields(crash), separators=(",", ":")))
    elif found:
        print_crashes(found, sys.stdout)
    else:
        click.echo(f"calltrace: no crash is stored in {shown(reader.url)}", err=True)
