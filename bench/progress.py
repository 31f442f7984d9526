"""Says how far the benchmark is, on a terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich import progress
from rich.console import Console


class Progress:
    """A bar on standard error; nothing where that is no terminal.

    It is drawn anew at each step only: drawing takes time of the processors that are measured.
    """

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = progress.Progress(
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TextColumn("{task.description}"),
            console=console,
            auto_refresh=False,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("", total=0)
        self._begun = 0

    def expect(self, steps: int) -> None:
        """Sets how many steps there will be."""
        self._bar.update(self._task, total=steps)

    def step(self, what: str) -> None:
        """The next step begins."""
        self._bar.update(self._task, completed=self._begun, description=what, refresh=True)
        self._begun += 1

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
