"""Only files that call hooks are planned."""

from __future__ import annotations

import subprocess
from pathlib import Path
from unittest.mock import patch

import pytest

from calltrace_collector.cli.planning import make_plan
from calltrace_collector.errors import SymbolError
from calltrace_collector.model.capture import Plan


def compiled(folder: Path, *flags: str) -> str:
    (folder / "main.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", *flags, "-o", "prog", "main.c"], cwd=folder, check=True)
    return str(folder / "prog")


def progress(_done: int, _total: int) -> None:
    pass


def test_a_file_with_hooks_is_planned(tmp_path: Path) -> None:
    program = compiled(tmp_path, "-g", "-finstrument-functions")
    plan = Plan(problems=("a plan",))
    with patch("calltrace_collector.capture.plan.cache.plan_for", return_value=plan) as plan_for:
        assert make_plan(program, b"id", progress) is plan
    plan_for.assert_called_once_with(program, b"id", progress)


@pytest.mark.parametrize("flags", [[], ["-static"]])
def test_a_file_without_hooks_has_an_empty_plan(tmp_path: Path, flags: list[str]) -> None:
    with patch("calltrace_collector.capture.plan.cache.plan_for") as plan_for:
        assert make_plan(compiled(tmp_path, *flags), b"", progress) == Plan()
        assert make_plan("[vdso]", b"", progress) == Plan()
    plan_for.assert_not_called()


def test_a_file_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(SymbolError, match="No such file"):
        make_plan(f"{tmp_path}/prog (deleted)", b"", progress)
