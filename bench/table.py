"""Shows results: a table for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.result import Result, Target

_PLAIN_WIDTH = 1000
"""Where no terminal sets a width, nothing is to be wrapped."""


def show(results: Sequence[Result], machine: dict[str, str | int]) -> None:
    """Prints the table to standard output: framed and coloured on a terminal, plain columns elsewhere."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PLAIN_WIDTH)
    console.print("; ".join(f"{name}: {value}" for name, value in machine.items()), soft_wrap=True)
    console.print(_table(results, framed=console.is_terminal))


def _table(results: Sequence[Result], *, framed: bool) -> Table:
    table = Table(box=box.ROUNDED if framed else None, pad_edge=framed, header_style="bold" if framed else "")
    table.add_column("what")
    table.add_column("of what")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("target", justify="right", no_wrap=True)
    table.add_column("met", no_wrap=True)
    table.add_column("note")
    previous = ""
    for result in results:
        if framed and previous and result.what != previous:
            table.add_section()
        what = "" if framed and result.what == previous else result.what
        previous = result.what
        table.add_row(what, result.subject, _value(result), _target(result.target), _met(result), result.note)
    return table


def _number(value: float) -> str:
    if value >= 1000 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _value(result: Result) -> str:
    if result.value is None:
        return "failed" if result.failed else "-"
    return f"{_number(result.value)} {result.unit}".rstrip()


def _target(target: Target | None) -> str:
    if target is None:
        return "-"
    return f"{'≤' if target.side == 'at most' else '≥'} {_number(target.bound)}"


def _met(result: Result) -> Text:
    if result.failed:
        return Text("no", "bold red")
    if result.is_met is None:
        return Text("-")
    return Text("yes", "green") if result.is_met else Text("no", "bold red")


def save(results: Sequence[Result], machine: dict[str, str | int], path: Path) -> None:
    """Writes a JSON object: "machine", and "results" with what the table shows."""
    document = {
        "machine": machine,
        "results": [asdict(result) | {"met": result.is_met} for result in results],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
