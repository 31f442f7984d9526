"""calltrace threads: the threads of a process."""

from __future__ import annotations

import sys

import click

from calltrace_collector.cli.notes import note_choice
from calltrace_collector.cli.options import common, of_process, output_format
from calltrace_collector.query.processes import choose
from calltrace_collector.query.recording import Recording
from calltrace_collector.report.json_text import json_text
from calltrace_collector.report.threads import print_threads, threads_fields
from calltrace_collector.store.reader import Reader


@click.command("threads")
@of_process
@output_format("table", "json")
@common
def threads(db: str | None, process: int | None, pid: int | None, output_format: str) -> None:
    """List the threads of a process that made calls, in the order of their first ones.

    CREATED BY is the number and the name of the thread that created it or, where that one made no calls, its
    thread id. FIRST CALL and ENDED are times since the process's trace began.

    \b
    Examples:
      calltrace threads
      calltrace threads --pid 1234 --format json | jq '.[] | select(.created_by == 0) | .name'
    """  # noqa: D301 click's mark for text that is not to be filled
    with Reader(db) as reader:
        chosen = choose(reader, process=process, pid=pid)
        note_choice(chosen)
        recording = Recording(reader, chosen.process)
    if output_format == "json":
        click.echo(json_text(threads_fields(recording)))
    else:
        print_threads(recording, sys.stdout)
