"""calltrace-collector serve, when it cannot."""

from pathlib import Path

import pytest

from calltrace_collector.cli.collector import collector
from calltrace_collector.cli.run import run


def serve(*arguments: str | Path) -> int:
    return run(collector, "calltrace-collector", ["serve", *map(str, arguments)])


def test_a_socket_whose_path_is_too_long(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert serve("--db", tmp_path / "calls.db", "--socket", tmp_path / ("x" * 120)) in {1, 2}
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("calltrace-collector: ")


def test_a_database_where_none_can_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert serve("--db", tmp_path / "file" / "calls.db", "--socket", tmp_path / "s") == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"calltrace-collector: cannot write to {tmp_path}/file/calls.db")


@pytest.mark.parametrize("option", ["--ready-fd=x", "--socket", "--nope"])
def test_wrong_use(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert serve(option) == 2
    assert capsys.readouterr().err.count("\n") == 1
