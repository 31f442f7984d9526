"""calltrace query: the calls of a process."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from calltrace_collector.cli.notes import note, note_choice, note_losses
from calltrace_collector.cli.options import COUNT, PID, common, of_process, output_format
from calltrace_collector.cli.parameters import duration, moment
from calltrace_collector.errors import UsageError
from calltrace_collector.query.calls import Search
from calltrace_collector.query.filters import CallFilter, Matcher
from calltrace_collector.query.processes import choose
from calltrace_collector.query.recording import Recording
from calltrace_collector.query.tree import tree
from calltrace_collector.report.jsonl import CallLines, write_calls
from calltrace_collector.report.tree_text import TreeText
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.records import ThreadRecord

TREE_LIMIT = 1000


@click.command("query")
@of_process
@click.option("--tid", metavar="N", type=PID, help="Only threads with this thread id.")
@click.option(
    "--function",
    metavar="GLOB",
    help="Only calls of functions whose name matches: * is any text. The parameters of C++ names may be left "
    "out.",
)
@click.option(
    "--min-duration",
    metavar="TIME",
    type=duration,
    help="Only calls that took at least this long: 250ns, 10us, 1.5ms, 2s, 1m.",
)
@click.option(
    "--since",
    metavar="TIME",
    type=moment,
    help="Only calls running at this time or later: 2026-01-31T12:00:00.5Z, or 5m for five minutes ago.",
)
@click.option("--until", metavar="TIME", type=moment, help="Only calls running at this time or earlier.")
@click.option(
    "--max-depth",
    metavar="N",
    type=COUNT,
    help="Only calls with at most N calls around them; outermost calls have depth 0.",
)
@click.option(
    "--depth",
    metavar="N",
    type=COUNT,
    help="Of the tree, show calls of depth 0 to N, and count the deeper ones.",
)
@click.option(
    "--limit",
    metavar="N",
    type=COUNT,
    help=f"Print at most N calls; 0: all. Default: {TREE_LIMIT} in a tree, else all.",
)
@click.option("--source", is_flag=True, help="Show file and line of functions in the tree.")
@output_format("tree", "jsonl", "json", explained="A tree; or one JSON object a line; or one JSON array.")
@common
def query(  # noqa: PLR0913, PLR0917 an argument an option
    db: str | None,
    process: int | None,
    pid: int | None,
    tid: int | None,
    function: str | None,
    min_duration: int | None,
    since: int | None,
    until: int | None,
    max_depth: int | None,
    depth: int | None,
    limit: int | None,
    source: bool,
    output_format: str,
) -> None:
    """Print the calls of a process, thread after thread, in order of entry.

    A tree shows each call with its duration, indented below its caller. With filters it shows the calls that
    pass them all, with durations, and the callers that lead to them, without.

    \b
    Examples:
      calltrace query                                      # the newest process
      calltrace query --pid 1234 --depth 3
      calltrace query --function 'parse_*' --min-duration 1ms
      calltrace query --since 5m --tid 1236 --limit 0
      calltrace query --format jsonl | jq -r 'select(.status == "abandoned") | .function'
    """  # noqa: D301 click's mark for text that is not to be filled
    if output_format != "tree" and (depth is not None or source):
        raise UsageError("--depth and --source are for trees: use --max-depth, or leave out --format")
    wanted = CallFilter(
        function=function,
        min_duration_ns=min_duration,
        since_ns=since,
        until_ns=until,
        max_depth=max_depth,
    )
    with Reader(db) as reader:
        chosen = choose(reader, process=process, pid=pid)
        note_choice(chosen)
        recording = Recording(reader, chosen.process)
        threads = recording.threads_of(tid)
        matcher = recording.matcher(wanted)
        if output_format == "tree":
            most = TREE_LIMIT if limit is None else limit
            lines = tree(recording, threads, matcher, limit=most or None, max_depth=depth)
            text = TreeText(recording, sys.stdout, is_filtered=not wanted.is_everything, with_source=source)
            printed = text.print(lines)
        else:
            objects = _objects(recording, threads, matcher, limit or None)
            printed = write_calls(objects, sys.stdout, as_array=output_format == "json")
    if not printed and not wanted.is_everything:
        note("no call passes the filters")
    note_losses(chosen.process)


def _objects(
    recording: Recording, threads: list[ThreadRecord], matcher: Matcher, limit: int | None
) -> Iterator[str]:
    """The calls as JSON objects."""
    made = CallLines(recording)
    left = limit
    for thread in threads:
        for block in Search(recording, thread, matcher).blocks():
            hits = block.hits if left is None else block.hits[:left]
            yield from made.lines(block, hits)
            if left is not None:
                left -= len(hits)
                if not left:
                    return
