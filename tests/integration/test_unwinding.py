"""Exceptions, jumps and ends of threads in the middle: every call has its parent and its status.

The oracle is the program itself, which logs how each of its calls was left.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.collector import Collector
from tests.support.compile import ROOT, compile_cxx

BUILDS = [("g++", "-O0"), ("g++", "-O2"), ("clang++", "-O0"), ("clang++", "-O2")]


@pytest.mark.parametrize(("compiler", "level"), BUILDS, ids=["".join(build) for build in BUILDS])
def test_every_call_ends_as_it_did(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: str, level: str
) -> None:
    monkeypatch.setenv("CXX", compiler)
    program = compile_cxx(
        [ROOT / "tests/fixtures/unwinding.cpp"],
        tmp_path / "unwinding",
        (level, "-finstrument-functions", "-pthread"),
    )
    log = tmp_path / "log"
    pid, _ = collector.run(program, log, "50")
    wanted = [line.split() for line in log.read_text().splitlines()]
    names = {name for name, _, _ in wanted}
    calls = [
        [call["function"].partition("(")[0], call["depth"], call["status"]]
        for call in collector.calls(pid)
        if call["function"].partition("(")[0] in names
    ]
    assert [call[0] for call in calls] == [name for name, _, _ in wanted]
    # main is not in the trace; thread(void*), which the log does not know, is.
    depths = [int(depth) + (name == "leave_thread") for name, depth, _ in wanted]
    assert [call[1] for call in calls] == depths
    assert [call[2] for call in calls] == [status for _, _, status in wanted]
