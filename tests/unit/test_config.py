"""Where things are when nobody says otherwise."""

import os
from pathlib import Path

import pytest

from calltrace_collector.config import cache_directory, default_socket


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
    ("environment", "path"),
    [
        ({"XDG_CACHE_HOME": "/var/cache/me"}, "/var/cache/me/calltrace"),
        ({"XDG_CACHE_HOME": "relative"}, "~/.cache/calltrace"),
        ({}, "~/.cache/calltrace"),
    ],
)
def test_cache(environment: dict[str, str], path: str) -> None:
    assert cache_directory(environment) == Path(path).expanduser()


def test_the_processes_own_environment_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache/b")
    assert default_socket().is_relative_to("/run/a")
    assert cache_directory().is_relative_to("/cache/b")
