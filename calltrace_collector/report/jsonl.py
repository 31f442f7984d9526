"""Calls as JSON: one a line, or as one array."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice, repeat
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.query.calls import Block
from calltrace_collector.query.inherited import Inheritance, inheritance
from calltrace_collector.query.recording import Recording
from calltrace_collector.query.thread_calls import LOST, OPEN

THREAD_SHIFT = 40
"""A call's number within the process: that of the thread, shifted by this, and that within the thread."""

_LINES_AT_ONCE = 4096
_ENCODER = json.JSONEncoder(separators=(",", ":"))


class CallLines:
    """Makes the JSON objects of a process's calls.

    What is the same for all calls of a site is made once; for each call that leaves its numbers.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._of_site: dict[int, str] = {}
        self._inheritances: dict[int, Inheritance] = {}
        self._ends = [f'"status":"{status.value}",' for status in recording.statuses]

    def lines(self, block: Block, hits: NDArray[np.intp]) -> Iterator[str]:
        """Yields the objects of some calls of a block, without line ends."""
        rows, clock = block.rows, self._recording.clock
        first = block.thread.number << THREAD_SHIFT
        process = self._recording.process
        head = f',"process":{process.id},"pid":{process.pid},"tid":{block.thread.tid},"depth":'
        start_ns = clock.unix_ns(rows.start_ticks[hits])
        duration_ns = clock.unix_ns(block.end_ticks[hits]) - start_ns
        # Sums of ticks are converted at another rate than single moments: off by parts per million.
        self_ns = np.minimum(clock.duration_ns(rows.self_ticks[hits]), duration_ns)
        columns = (
            rows.call[hits].tolist(),
            rows.parent[hits].tolist(),
            rows.depth[hits].tolist(),
            rows.site[hits].tolist(),
            start_ns.tolist(),
            duration_ns.tolist(),
            self_ns.tolist(),
            rows.status[hits].tolist(),
        )
        of_site, ends, endless = self._of_site, self._ends, (OPEN, LOST)
        for site in np.unique(rows.site[hits]).tolist():
            if site not in of_site:
                of_site[site] = self._site_fields(site)
        roots = self._roots(block, hits)
        values = _values(block, hits)
        for call, parent, depth, site, start, duration, self_time, status in zip(*columns, strict=True):
            times = f'{duration},"self_ns":{self_time}' if status not in endless else 'null,"self_ns":null'
            yield (
                f'{{"call":{first + call},"parent":{first + parent if parent else next(roots)}{head}{depth},'
                f'{of_site[site]}"start_ns":{start},"duration_ns":{times},{ends[status]}{next(values)}'
            )

    def _roots(self, block: Block, hits: NDArray[np.intp]) -> Iterator[str]:
        """Yields what stands for the parent of each outermost call: in a forked process, the caller there."""
        inherited = self._inheritances.get(block.thread.number)
        if inherited is None:
            inherited = inheritance(self._recording, block.thread)
            self._inheritances[block.thread.number] = inherited
        if not inherited.calls:
            yield from repeat("null")
        rows = block.rows
        for ticks in rows.start_ticks[hits][rows.parent[hits] == 0].tolist():
            caller = inherited.innermost_at(ticks)
            if caller is None:
                yield "null"
            else:
                number = (caller.thread << THREAD_SHIFT) + caller.call
                yield f'null,"inherited_parent":{{"process":{caller.process},"call":{number}}}'

    def _site_fields(self, number: int) -> str:
        function = self._recording.names.function(number)
        site = self._recording.names.sites[number]
        fields = {
            "function": function.name,
            "module": function.module,
            "file": function.file,
            "line": function.line,
            "call_site": {"function": site.caller, "file": site.file, "line": site.line},
        }
        text = _ENCODER.encode(fields)
        return f"{text[1:-1]},"


def _values(block: Block, hits: NDArray[np.intp]) -> Iterator[str]:
    """Yields what ends the object of each call: its arguments and what it returned."""
    if block.values is None:
        yield from repeat('"arguments":[],"return_value":null}')
        return
    for arguments, returned in block.values_of(hits):
        fields = {
            "arguments": [value.json() for value in arguments],
            "return_value": None if returned is None else returned.json(),
        }
        yield _ENCODER.encode(fields)[1:]


def write_calls(lines: Iterator[str], out: TextIO, *, as_array: bool = False) -> int:
    """Writes calls as they come, and returns how many there were.

    Args:
        lines: the objects.
        out: where to.
        as_array: as one JSON array; else a line each.
    """
    start, between, end = ("[\n", ",\n", "\n]\n") if as_array else ("", "\n", "\n")
    written = 0
    while some := list(islice(lines, _LINES_AT_ONCE)):
        out.write((between if written else start) + between.join(some))
        written += len(some)
    if written:
        out.write(end)
    elif as_array:
        out.write("[]\n")
    return written
