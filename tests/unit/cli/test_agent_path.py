"""calltrace agent-path."""

import json
from pathlib import Path

import pytest

from calltrace_collector.cli import agent_path
from tests.unit.cli.conftest import Ask


def test_a_file_that_can_be_preloaded(ask: Ask) -> None:
    answer = ask("agent-path")
    assert (answer.status, answer.err) == (0, "")
    path = Path(answer.out.removesuffix("\n"))
    assert path.is_absolute()
    assert path.read_bytes().startswith(b"\x7fELF")
    assert json.loads(ask("agent-path", "--format", "json", "--db", "any").out) == {"agent": str(path)}


def test_an_agent_that_was_never_built(ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(agent_path, "AGENT_LIBRARY", tmp_path / "none.so")
    answer = ask("agent-path")
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith(f"calltrace: no agent at {tmp_path}/none.so: run make build")
