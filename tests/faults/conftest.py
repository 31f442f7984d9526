"""What the fault tests share: chance, how much to do, a collector, compiled fixtures.

Each test is a scenario in its short form. `make soak` runs them again and again with other seeds
(tests/faults/soak.py), or once in their long form: see `seed` and `amount`.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.collector import Collector
from tests.support.programs import builder


@pytest.fixture(scope="session")
def seed() -> int:
    """CALLTRACE_SOAK_SEED, or always the same."""
    return int(os.environ.get("CALLTRACE_SOAK_SEED", "1"))


@pytest.fixture
def chance(seed: int, request: pytest.FixtureRequest) -> random.Random:
    """Random numbers that a seed and a test's name determine."""
    return random.Random(f"{seed} {request.node.nodeid}")


@pytest.fixture(scope="session")
def amount() -> Callable[[int, int], int]:
    """Chooses how much a scenario does: in its short form, or with CALLTRACE_SOAK_LONG in its long form."""
    is_long = bool(os.environ.get("CALLTRACE_SOAK_LONG"))
    return lambda short, long: long if is_long else short


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compiles a program of tests/fixtures, once for each set of flags."""
    return builder(tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="session")
def tally(build: Callable[..., Path]) -> Path:
    """The program that counts its own calls."""
    return build("tally.c")


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[[str, object], None]:
    """Notes a figure of a scenario in CALLTRACE_SOAK_NOTES, if that names a file: JSON, an object a line."""
    file = os.environ.get("CALLTRACE_SOAK_NOTES")

    def note(what: str, figure: object) -> None:
        if file:
            with Path(file).open("a") as notes:
                notes.write(json.dumps({"test": request.node.name, "what": what, "figure": figure}) + "\n")

    return note
