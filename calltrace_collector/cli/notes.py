"""What a user should know of an answer beside the answer: notes on stderr."""

from __future__ import annotations

import click

from calltrace_collector.query.processes import Chosen
from calltrace_collector.report.units import counted, moment
from calltrace_collector.store.records import ProcessRecord


def note(text: str) -> None:
    """Prints a line on stderr."""
    click.echo(f"calltrace: {text}", err=True)


def note_choice(chosen: Chosen) -> None:
    """Says which process was taken when several have had the pid."""
    if not chosen.others:
        return
    taken, last = chosen.process, chosen.others[0]
    note(
        f"{len(chosen.others) + 1} processes have had pid {taken.pid}: this is the newest, begun "
        f"{moment(taken.started_at_ns)}; the one begun {moment(last.started_at_ns)} is --process {last.id}"
    )


def note_losses(process: ProcessRecord) -> None:
    """Says that a process's trace has gaps."""
    if process.lost_events:
        note(
            f"calls are missing: {counted(process.lost_events, 'event')} of this process were dropped, "
            "for its threads were not to wait (CALLTRACE_OVERFLOW=drop)"
        )
