"""Lines made of parts, each with a style of its own on a terminal."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.text import Text

Part = tuple[str, str]
"""A text and its style (rich's)."""


class StyledLines:
    """Writes lines; rich decides whether `out` is a terminal, and obeys NO_COLOR."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._console = Console(file=out, highlight=False)

    def write(self, *parts: Part) -> None:
        """Writes a line."""
        if not self._console.is_terminal:
            # Plain text goes out as it is: rich would take its time.
            self._out.write("".join(text for text, _ in parts).rstrip() + "\n")
            return
        line = Text()
        for text, style in parts:
            line.append(text, style)
        self._console.print(line, soft_wrap=True)
