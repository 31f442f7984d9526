"""Whether a collector listens."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from calltrace_collector.cli import listening
from calltrace_collector.cli.listening import is_listening


@pytest.fixture
def path() -> Iterator[Path]:
    """Where a socket may be: pytest's own folders have long names."""
    with tempfile.TemporaryDirectory(prefix="ct-") as folder:
        yield Path(folder) / "s"


def test_nobody(path: Path) -> None:
    assert not is_listening(path)
    path.touch()
    assert not is_listening(path)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        assert not is_listening(path)
    assert not is_listening(path.with_name("long" * 50))


def test_ours(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert is_listening(path)


def test_somebody_elses(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        monkeypatch.setattr(listening, "_ROOT", 12346)
        assert not is_listening(path)
