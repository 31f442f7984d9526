"""Backtraces of programs that crash under gdb, compared with gdb's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from calltrace_collector.crash.analyze import Analyzer
from calltrace_collector.symbols.resolver import Resolver
from tests.support.crashes import CRASHES, PLAIN, Crash, compile_crash, differences
from tests.support.gdb_crash import crash as run_in_gdb

RESOLVER = Resolver()
BUILDS = [("gcc-O0", "clang-O2"), ("gcc-O2", "clang-O0")]
CASES = [
    pytest.param(crash, build, id=f"{crash.name}-{build}")
    for number, crash in enumerate(CRASHES)
    for build in sorted({*BUILDS[number % 2], crash.build or BUILDS[number % 2][0]})
]


@pytest.mark.parametrize(("crash", "build"), CASES)
def test_backtrace_is_that_of_gdb(crash: Crash, build: str, tmp_path: Path) -> None:
    program, arguments = compile_crash(crash, PLAIN[build], tmp_path)
    seen = run_in_gdb(program, tmp_path, *arguments, stack_bytes=crash.stack_bytes)
    analysis = Analyzer(RESOLVER)(seen.record, seen.modules, ())
    assert differences(analysis.frames, seen.frames, optimized="O2" in build) == []
    assert analysis.unwound_until == ""
    assert re.search(crash.reason, analysis.reason), analysis.reason
    functions = [re.sub(r"^int |[<(].*", "", frame.function or "") for frame in analysis.frames]
    assert crash.function in functions
