"""What `calltrace record` does before a program runs whose arguments and return values are to be captured."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import click

from calltrace_collector.cli.needed_files import needed_files
from calltrace_collector.cli.planning import make_plan
from calltrace_collector.errors import SymbolError
from calltrace_collector.model.capture import Plan, no_values
from calltrace_collector.report.units import printable
from calltrace_collector.symbols.globs import any_matcher


def prepare(program: str, globs: str, environment: Mapping[str, str]) -> str | None:
    """Makes the capture plans of a program and of its libraries, so that it does not have to wait for them.

    Shows how far it is on stderr. Whatever cannot be planned now is left to the collector.

    Returns:
        What the user should know, as a line; None: nothing.
    """
    found = shutil.which(program, path=environment.get("PATH"))
    if found is None:
        return None  # nothing can be run, which is said elsewhere
    try:
        files = needed_files(Path(found), environment)
    except SymbolError:
        return None  # a script
    plans, problems = [], []
    with _Progress() as progress:
        for file in files:
            try:
                plan = make_plan(str(file), b"", progress.of(file))
            except SymbolError as error:
                problems.append(no_values(str(file), error.message))
            else:
                plans.append(plan)
                problems += [no_values(str(file), problem) for problem in plan.problems]
    return _warning(program, globs, plans, problems)


def _warning(program: str, globs: str, plans: Sequence[Plan], problems: Sequence[str]) -> str | None:
    """Why there will be no values, if so."""
    hooks = [hook for plan in plans for hook in plan.hooks]
    if not hooks:
        return printable(problems[0]) if problems else None
    is_asked_for = any_matcher(globs)
    if not any(is_asked_for(hook.function) for hook in hooks):
        return printable(
            f"no arguments or return values: no function of {program} and its libraries matches {globs}"
        )
    return None


class _Progress:
    """Bars on a terminal, else a line for each file that takes work."""

    def __init__(self) -> None:
        self._bars: _Bars | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.close()

    def of(self, file: Path) -> Callable[[int, int], None]:
        """Returns what takes how far a file is: (done, total)."""
        title = f"planning the capture of values in {printable(file.name)}"
        if not sys.stderr.isatty():
            return _line_once(f"calltrace: {title}")

        def show(done: int, total: int) -> None:
            if self._bars is None:
                self._bars = _Bars()
            self._bars.show(title, done, total)

        return show


def _line_once(line: str) -> Callable[[int, int], None]:
    said: list[str] = []

    def show(_done: int, _total: int) -> None:
        if not said:
            said.append(line)
            click.echo(line, err=True)

    return show


class _Bars:
    """A bar for each file, which go when all is done."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 takes long to import, and is seldom needed
        from rich.progress import Progress, TaskID  # noqa: PLC0415

        self._progress = Progress(console=Console(stderr=True), transient=True)
        self._tasks: dict[str, TaskID] = {}
        self._progress.start()

    def show(self, title: str, done: int, total: int) -> None:
        if title not in self._tasks:
            self._tasks[title] = self._progress.add_task(title)
        self._progress.update(self._tasks[title], completed=done, total=total)

    def close(self) -> None:
        self._progress.stop()
