"""Where things are when nobody says otherwise."""

import os
from pathlib import Path

import pytest

from calltrace_collector.config import default_socket, session_parents


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, "/run/user/7/calltrace/collector.sock"),
        ({"XDG_RUNTIME_DIR": ""}, f"/tmp/calltrace-{os.getuid()}/collector.sock"),
        ({}, f"/tmp/calltrace-{os.getuid()}/collector.sock"),
    ],
)
def test_socket(environment: dict[str, str], path: str) -> None:
    assert default_socket(environment) == Path(path)


@pytest.mark.parametrize(
    ("environment", "paths"),
    [
        ({"CALLTRACE_SHM_DIR": "/var/shm"}, ("/var/shm", "/dev/shm")),
        ({"CALLTRACE_SHM_DIR": "/dev/shm"}, ("/dev/shm",)),
        ({"CALLTRACE_SHM_DIR": ""}, ("/dev/shm",)),
        ({}, ("/dev/shm",)),
    ],
)
def test_session_directories(environment: dict[str, str], paths: tuple[str, ...]) -> None:
    assert session_parents(environment) == tuple(map(Path, paths))


def test_the_processes_own_environment_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/a")
    monkeypatch.setenv("CALLTRACE_SHM_DIR", "/b")
    assert default_socket().is_relative_to("/run/a")
    assert session_parents()[0] == Path("/b")
