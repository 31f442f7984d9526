from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from calltrace_collector.errors import UsageError
from calltrace_collector.ingest.listener import private_socket, restricted_umask


def bind(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(path))
    listening.listen()
    return listening


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    # A short path, whatever pytest's own folders are called: sockets allow 107 bytes.
    path = tmp_path_factory.mktemp("s")
    monkeypatch.chdir(path)
    return Path()


def test_the_directory_is_made_for_its_owner_only(folder: Path) -> None:
    with private_socket(folder / "new" / "c.sock"), restricted_umask(), bind(folder / "new" / "c.sock"):
        assert stat.S_IMODE((folder / "new").stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "new" / "c.sock").stat().st_mode) == 0o600
    assert not (folder / "new" / "c.sock").exists()


def test_two_collectors_cannot_have_one_socket(folder: Path) -> None:
    path = folder / "c.sock"
    with private_socket(path), pytest.raises(UsageError, match="another collector"), private_socket(path):
        pass


def test_a_socket_that_was_left_behind_is_replaced(folder: Path) -> None:
    path = folder / "c.sock"
    bind(path).close()
    with private_socket(path):
        assert not path.exists()


def test_a_socket_that_another_program_serves_is_left_alone(folder: Path) -> None:
    path = folder / "c.sock"
    with bind(path), pytest.raises(UsageError, match="another program"), private_socket(path):
        pass


def test_a_file_in_the_way_is_left_alone(folder: Path) -> None:
    path = folder / "c.sock"
    path.write_text("mine")
    with pytest.raises(UsageError, match="no socket"), private_socket(path):
        pass
    assert path.read_text() == "mine"


def test_a_path_too_long_for_a_socket_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="107 bytes"), private_socket(folder / ("x" * 200)):
        pass
