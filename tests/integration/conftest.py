"""A collector for all integration tests that need nothing of their own, and compiled fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.collector import Collector
from tests.support.programs import builder


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compiles a program of tests/fixtures, once for each set of flags."""
    return builder(tmp_path_factory.mktemp("programs"))
