"""Tables: aligned text, coloured and cut to its width on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

_GAP = "  "
_LEAST_ELASTIC_WIDTH = 16


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, the side it is aligned to, and its style (rich's) on a terminal.

    is_elastic: on a terminal that is too narrow, its texts are cut.
    """

    heading: str
    right: bool = False
    style: str = ""
    is_elastic: bool = False


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], out: TextIO) -> None:
    """Prints a table.

    Args:
        columns: from left to right.
        rows: a text for each column.
        out: stdout, say. rich decides whether it is a terminal, and obeys NO_COLOR.
    """
    console = Console(file=out, highlight=False)
    texts = [[column.heading for column in columns], *rows]
    widths = [max(map(cell_len, cells)) for cells in zip(*texts, strict=True)]
    if console.is_terminal:
        widths = _fitted(columns, widths, console.width)
    for number, cells in enumerate(texts):
        line = Text(end="")
        for column, text, width in zip(columns, cells, widths, strict=True):
            line.append(_cell(text, width, right=column.right), style=column.style if number else "bold")
            line.append(_GAP)
        line.rstrip()
        # Plain text goes out as it is: rich would take its time.
        out.write(f"{line.plain}\n") if not console.is_terminal else console.print(line, soft_wrap=True)


def _fitted(columns: Sequence[Column], widths: Sequence[int], terminal: int) -> list[int]:
    """The widths with which a line fits the terminal, if cutting elastic columns can make it."""
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - terminal
    fitted = []
    for column, width in zip(columns, widths, strict=True):
        cut = min(excess, max(0, width - _LEAST_ELASTIC_WIDTH)) if column.is_elastic and excess > 0 else 0
        fitted.append(width - cut)
        excess -= cut
    return fitted


def _cell(text: str, width: int, *, right: bool) -> str:
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…"
    return " " * (width - length) + text if right else text + " " * (width - length)
