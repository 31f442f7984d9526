"""The programs, run in this process on a database of the test's own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from calltrace_collector.cli.calltrace import calltrace
from calltrace_collector.cli.run import run


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


Ask = Callable[..., Answer]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Runs `calltrace` with arguments; the database is that of the fixture `writer`."""
    monkeypatch.setenv("CALLTRACE_DB", str(tmp_path / "calltrace.db"))

    def ask(*arguments: str) -> Answer:
        capsys.readouterr()
        status = run(calltrace, "calltrace", arguments)
        out, err = capsys.readouterr()
        return Answer(status, out, err)

    return ask
