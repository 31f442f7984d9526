"""Where one library was, another comes to lie: what is captured of its calls follows its own plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.captured_calls import arguments_of
from tests.support.collector import Collector

SHARED = ("-O1", "-fno-ipa-cp", "-finstrument-functions", "-shared", "-fPIC")
NUMBERS = {"first": 5, "second": 10}
TEXT = {"text": "n6", "number": 12}
ROUNDS = 10
THREADS = 4


@pytest.fixture
def plugins(build: Callable[..., Path]) -> tuple[Path, Path]:
    return build("capture_plugin.c", *SHARED), build("capture_plugin.c", *SHARED, "-DTEXT")


@pytest.mark.parametrize("overflow", ["block", "drop"])
def test_libraries_by_turns_at_one_address(
    collector: Collector, build: Callable[..., Path], plugins: tuple[Path, Path], overflow: str
) -> None:
    pid, output = collector.run(
        build("plugins.c"), str(ROUNDS), *plugins, CALLTRACE_CAPTURE_ARGS="told", CALLTRACE_OVERFLOW=overflow
    )
    assert int(output) == ROUNDS, "the libraries are to lie at one address"
    told = [arguments_of(call) for call in collector.calls(pid) if call["function"] == "told"]
    assert told == [NUMBERS, TEXT] * ROUNDS


def test_threads_that_replace_each_others_libraries(
    collector: Collector, build: Callable[..., Path], plugins: tuple[Path, Path]
) -> None:
    pid, _ = collector.run(
        build("plugins.c"), str(ROUNDS), *plugins, str(THREADS), CALLTRACE_CAPTURE_ARGS="told"
    )
    shown = [arguments_of(call) for call in collector.calls(pid) if call["arguments"]]
    assert shown
    assert all(found in (NUMBERS, TEXT) for found in shown)
