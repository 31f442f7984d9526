"""Fixtures that all tests may use."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def private_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the user's collector or database, and none leaves one behind."""
    for name in ("CALLTRACE_DB", "CALLTRACE_SOCKET", "CALLTRACE_SHM_DIR", "LD_PRELOAD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
