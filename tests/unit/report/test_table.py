"""Tables: aligned everywhere, coloured and cut on terminals only."""

import io

import pytest

from calltrace_collector.report.table import Column, print_table
from tests.unit.report.terminal import on_terminal

COLUMNS = [Column("N", right=True, style="bold"), Column("NAME", is_elastic=True), Column("END")]
ROWS = [["1", "short", "x"], ["1,000", "a name that is rather long for a narrow screen", ""]]


def test_plain() -> None:
    out = io.StringIO()
    print_table(COLUMNS, ROWS, out)
    assert out.getvalue() == (
        "    N  NAME                                            END\n"
        "    1  short                                           x\n"
        "1,000  a name that is rather long for a narrow screen\n"
    )


def test_no_rows() -> None:
    out = io.StringIO()
    print_table(COLUMNS, [], out)
    assert out.getvalue() == "N  NAME  END\n"


def test_letters_of_two_cells() -> None:
    out = io.StringIO()
    print_table([Column("A"), Column("B")], [["漢字", "x"], ["abcd", "y"]], out)
    assert out.getvalue() == "A     B\n漢字  x\nabcd  y\n"


def test_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    shown = on_terminal(lambda out: print_table(COLUMNS, ROWS, out))
    assert "\x1b[1m1,000\x1b[0m  a name that is rather long …\n" in shown


def test_terminal_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    columns = [Column("A", style="red")]
    assert "\x1b[31m" not in on_terminal(lambda out: print_table(columns, [["x"]], out))
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b[31m" in on_terminal(lambda out: print_table(columns, [["x"]], out))


def test_brackets_are_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert "[red]x[/red]" in on_terminal(lambda out: print_table([Column("A")], [["[red]x[/red]"]], out))
