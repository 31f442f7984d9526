"""Runs generated programs with the agent's interpreter of capture programs, but without agent or collector.

For the search: it takes a plan, which may be one that is wrong on purpose.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from calltrace_collector.capture.values.decode import decode
from calltrace_collector.model.capture import Plan
from tests.capture.scoreboard import Shown, path_of
from tests.capture.truth import UNWOUND, Call

__all__ = ["Probe", "shown_of"]

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "tests" / "fixtures" / "capture_probe.c"


@dataclass(frozen=True)
class Event:
    """What a hook has left.

    Attributes:
        is_entry: of the entry hook.
        function: its name.
        values: without the layout's number; None where there is no program.
        layout: place in the plan's layouts.
    """

    is_entry: bool
    function: str
    values: bytes | None
    layout: int


class Probe:
    """The library to preload, made once.

    Args:
        folder: for it, and for plans and their output.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._library = folder / "capture_probe.so"
        sources = re.findall(r"[\w/]+\.[cS]\b", SOURCE.read_text().split("*/")[0])
        subprocess.run(
            [
                *("gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-g", "-fPIC", "-shared", "-I."),
                *("-o", str(self._library), *sources),
            ],
            cwd=ROOT,
            check=True,
        )

    def run(self, program: Path, plan: Plan) -> tuple[list[Event], str]:
        """Runs a program by a plan; returns what its hooks left, and what the program printed."""
        path, out = self._folder / f"{program.name}.plan", self._folder / f"{program.name}.out"
        hooks = [
            struct.pack("<QQII", hook.return_offset, hook.function_offset, number, len(hook.program))
            + hook.program
            for number, hook in enumerate(plan.hooks)
            if hook.program
        ]
        path.write_bytes(struct.pack("<I", len(hooks)) + b"".join(hooks))
        done = subprocess.run(
            [str(program)],
            env={
                **os.environ,
                "CAPTURE_PLAN": str(path),
                "CAPTURE_OUT": str(out),
                "LD_PRELOAD": str(self._library),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        return list(_events(out.read_bytes(), plan)), done.stdout


def _events(content: bytes, plan: Plan) -> Iterator[Event]:
    """Reads the output. Layouts were numbered by hook, so each event says which one left it."""
    by_offset = {hook.function_offset: hook.function for hook in plan.hooks}
    position = 0
    while position < len(content):
        kind, function, size = struct.unpack_from("<cQH", content, position)
        position += 11
        values = content[position : position + size]
        position += size
        hook = plan.hooks[int.from_bytes(values[:4], "little")] if size else None
        yield Event(
            kind == b"E",
            by_offset[function],
            values[4:] if hook else None,
            hook.layout if hook else 0,
        )


def shown_of(
    truth: list[Call], events: list[Event], plan: Plan, symbol_of: Callable[[int], str | None]
) -> list[Shown]:
    """Brings events into the form of calls, by going through the true calls.

    A hook without a plan leaves nothing. So nothing is known of a function of which any event is missing.
    """
    shown = [Shown(call.function, None, None) for call in truth]
    true = Counter(
        (is_entry, truth[n].function) for is_entry, n in _order(truth) if _leaves(truth[n], is_entry)
    )
    found = Counter((event.is_entry, path_of(event.function)) for event in events)
    whole = {key for key in true if true[key] == found[key]}
    pending = [event for event in reversed(events) if (event.is_entry, path_of(event.function)) in whole]
    for is_entry, number in _order(truth):
        call = truth[number]
        if (is_entry, call.function) not in whole or not _leaves(call, is_entry):
            continue
        event = pending.pop()
        if event.values is None:
            continue
        layout = plan.layouts[event.layout]
        rows = [value.json() for value in decode(layout, event.values, symbol_of)]
        before = shown[number]
        shown[number] = (
            Shown(call.function, rows, None) if is_entry else Shown(call.function, before.arguments, rows[0])
        )
    assert not pending, f"{len(pending)} events are left, from {pending[-1]} on"
    return shown


def _order(truth: list[Call]) -> Iterator[tuple[bool, int]]:
    """Entries and ends of calls, in their order."""
    stack: list[int] = []
    for number, call in enumerate(truth):
        while stack and len(stack) > call.depth:
            yield False, stack.pop()
        stack.append(number)
        yield True, number
    while stack:
        yield False, stack.pop()


def _leaves(call: Call, is_entry: bool) -> bool:
    return is_entry or call.result is not UNWOUND
