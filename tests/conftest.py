"""Fixtures that all tests may use."""

from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)  # before the plugin looks at them
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where tests are shared between processes, those outside of unit/ stay in order, in one of them.

    They start collectors and programs that have more to do than one processor can.
    """
    unit = config.rootpath / "tests" / "unit"
    for item in items:
        group = str(item.path) if item.path.is_relative_to(unit) else "in order"
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(autouse=True)
def private_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the user's collector or database, and none leaves one behind."""
    for name in ("CALLTRACE_DB", "CALLTRACE_SOCKET", "CALLTRACE_SHM_DIR", "LD_PRELOAD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
