"""An exception that must not leave a function ends the program: the crash says which exception that was."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.integration.test_crashes import record, show
from tests.support.compile import compile_cxx

SOURCE = """
#include <stdexcept>
__attribute__((noinline)) static void inner() { throw std::runtime_error("in noexcept"); }
__attribute__((noinline)) static void work() noexcept { inner(); }
int main() { work(); }
"""
BUILDS = [("g++", "-O0"), ("g++", "-O2"), ("clang++", "-O0"), ("clang++", "-O2")]


@pytest.mark.parametrize(("compiler", "level"), BUILDS, ids=["".join(build) for build in BUILDS])
def test_the_exception_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: str, level: str
) -> None:
    monkeypatch.setenv("CXX", compiler)
    source = tmp_path / "noexcept.cpp"
    source.write_text(SOURCE)
    program = compile_cxx([source], tmp_path / "program", (level, "-finstrument-functions"))
    database = tmp_path / "calls.db"
    done = record(database, program)
    # What the program says of itself is the oracle.
    assert "terminate called after throwing an instance of 'std::runtime_error'" in done.stderr
    assert done.returncode == 128 + signal.SIGABRT
    crash = json.loads(show(database, "--format", "json"))
    assert crash["exception"] == {"type": "std::runtime_error", "what": "in noexcept"}
    assert crash["reason"].startswith('SIGABRT: uncaught exception std::runtime_error: "in noexcept" in ')
    assert "work() at noexcept.cpp:4" in crash["reason"]
