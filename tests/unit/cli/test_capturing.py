"""Plans are made before the program runs, and what keeps values from being shown is said in a line."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from calltrace_collector.cli import capturing
from calltrace_collector.cli.capturing import prepare
from calltrace_collector.errors import SymbolError
from calltrace_collector.model.capture import HookPlan, Layout, Plan

PLAN = Plan((Layout(()),), (HookPlan(16, 8, "ns::parse(int)", 0, b""),))
ENVIRONMENT = dict(os.environ)
Progress = Callable[[int, int], None]


class Maker:
    """Makes plans by the file's name, with progress unless it has made the same before."""

    def __init__(self) -> None:
        self.results: dict[str, Plan | SymbolError] = {}
        self.asked: list[str] = []

    def __call__(self, path: str, build_id: bytes, progress: Progress) -> Plan:
        assert build_id == b""
        name = Path(path).name
        if name not in self.asked and name in self.results:
            for done in range(3):
                progress(done, 2)
        self.asked.append(name)
        result = self.results.get(name, Plan())
        if isinstance(result, SymbolError):
            raise result
        return result


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> Maker:
    maker = Maker()
    monkeypatch.setattr(capturing, "make_plan", maker)
    return maker


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("program")
    (folder / "main.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-o", "prog", "main.c"], cwd=folder, check=True)
    return folder / "prog"


def test_a_line_for_each_file_that_takes_work(
    maker: Maker, program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maker.results = {"prog": PLAN, "libc.so.6": PLAN}
    assert prepare(str(program), "*", ENVIRONMENT) is None
    assert capsys.readouterr().err.splitlines() == [
        "calltrace: planning the capture of values in prog",
        "calltrace: planning the capture of values in libc.so.6",
    ]
    assert prepare(str(program), "*", ENVIRONMENT) is None
    assert capsys.readouterr() == ("", "")


def test_bars_on_a_terminal_that_leave_nothing(
    maker: Maker, program: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    maker.results = {"prog": PLAN}
    assert prepare(str(program), "*", ENVIRONMENT) is None
    out, err = capsys.readouterr()
    assert out == ""
    assert "calltrace: " not in err


def test_a_program_is_looked_for_where_it_will_be(maker: Maker, program: Path) -> None:
    assert prepare("prog", "*", {**ENVIRONMENT, "PATH": str(program.parent)}) is None
    assert maker.asked[0] == "prog"


@pytest.mark.parametrize(
    ("globs", "warning"),
    [("ns::*", None), ("*", None), ("x,parse", "no function of {} and its libraries matches x,parse")],
)
def test_functions_that_are_not_there(maker: Maker, program: Path, globs: str, warning: str | None) -> None:
    maker.results = {"prog": Plan(), "libc.so.6": PLAN}
    expected = None if warning is None else f"no arguments or return values: {warning.format(program)}"
    assert prepare(str(program), globs, ENVIRONMENT) == expected


def test_a_program_without_debug_information(maker: Maker, program: Path) -> None:
    maker.results = {"prog": Plan(problems=("no debug information: compile with -g",))}
    expected = f"no arguments or return values: {program}: no debug information: compile with -g"
    assert prepare(str(program), "*", ENVIRONMENT) == expected


def test_a_file_that_cannot_be_planned(maker: Maker, program: Path) -> None:
    maker.results = {"prog": SymbolError("is\x1bdamaged")}
    expected = f"no arguments or return values: {program}: is?damaged"
    assert prepare(str(program), "*", ENVIRONMENT) == expected
    maker.results["libc.so.6"] = PLAN
    assert prepare(str(program), "*", ENVIRONMENT) is None


def test_a_program_without_hooks_is_not_told_of_before_it_has_run(maker: Maker, program: Path) -> None:
    assert prepare(str(program), "*", ENVIRONMENT) is None
    assert maker.asked[0] == "prog"


@pytest.mark.parametrize("name", ["script", "nothing"])
def test_what_is_no_program_is_left_to_others(maker: Maker, tmp_path: Path, name: str) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "script").chmod(0o755)
    assert prepare(str(tmp_path / name), "*", ENVIRONMENT) is None
    assert maker.asked == []
