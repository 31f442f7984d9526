"""A collector for all integration tests that need nothing of their own, and compiled fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.collector import Collector
from tests.support.compile import compile_c, compile_cxx

INSTRUMENTED = ("-O0", "-finstrument-functions", "-pthread")


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compiles a program of tests/fixtures, once for each set of flags."""
    folder = tmp_path_factory.mktemp("programs")
    built: dict[tuple[str, ...], Path] = {}

    def build(source: str, *flags: str) -> Path:
        key = (source, *flags)
        if key not in built:
            output = folder / f"{Path(source).stem}-{len(built)}"
            compiled = compile_cxx if source.endswith(".cpp") else compile_c
            built[key] = compiled([Path("tests/fixtures") / source], output, flags or INSTRUMENTED)
        return built[key]

    return build
