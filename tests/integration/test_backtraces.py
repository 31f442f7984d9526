"""Backtraces of crashes that the agent recorded, compared with gdb's of the same programs."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from contextlib import closing
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from calltrace_collector.model.crash import CrashFrame
from tests.support.collector import AGENT, PATIENCE_S, Collector, wait_until
from tests.support.crashes import CRASHES, PLAIN, Crash, compile_crash, differences
from tests.support.gdb_crash import crash as run_in_gdb

BUILDS = ("gcc-O2", "clang-O2", "gcc-O0", "clang-O0")
# What the agent records of these is what it records of others; gdb sees them in the unit tests.
LEFT_OUT = {"wild_memcpy", "divide--1", "constructor", "method", "destructor", "wild", "bus"}
CASES = [
    pytest.param(crash, crash.build or build, id=f"{crash.name}-{crash.build or build}")
    for crash, build in zip(
        (crash for crash in CRASHES if crash.name not in LEFT_OUT), cycle(BUILDS), strict=False
    )
]


def crash_of(
    collector: Collector, program: Path, arguments: list[str], stack_bytes: int | None
) -> dict[str, Any]:
    """Runs a program that crashes; returns what `calltrace crash` says."""
    command = ["prlimit", f"--stack={stack_bytes}:", str(program)] if stack_bytes else [str(program)]
    process = subprocess.Popen(
        [*command, *arguments],
        env={**collector.environment, "LD_PRELOAD": str(AGENT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode < 0
    wait_until(lambda: is_analyzed(collector, process.pid), f"the crash of {program.name} to be analyzed")
    done = collector.ask("crash", "--pid", str(process.pid), "--format", "json")
    assert (done.returncode, done.stderr) == (0, ""), collector.log()
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def is_analyzed(collector: Collector, pid: int) -> bool:
    query = "select 1 from crash join process on process.id = process_id where pid = ? and is_analyzed"
    with closing(sqlite3.connect(collector.database)) as database:
        return database.execute(query, (pid,)).fetchone() is not None


def frame_of(frame: dict[str, Any]) -> CrashFrame:
    return CrashFrame(
        address=int(frame["address"], 16),
        function=frame["function_name"],
        linkage_name=frame["linkage_name"],
        module=frame["library_name"],
        module_offset=int(frame["offset"], 16) if frame["offset"] else None,
        function_offset=None,
        file=frame["file"],
        line=frame["line"],
        inlined=frame["inlined"],
        call=frame["call"],
        is_signal_frame=frame["signal_frame"],
    )


@pytest.mark.parametrize(("crash", "build"), CASES)
def test_recorded_backtrace_is_that_of_gdb(
    crash: Crash, build: str, tmp_path: Path, collector: Collector
) -> None:
    flags = (*PLAIN[build], "-finstrument-functions")
    program, arguments = compile_crash(crash, flags, tmp_path)
    seen = run_in_gdb(program, tmp_path, *arguments, stack_bytes=crash.stack_bytes)
    answer = crash_of(collector, program, arguments, crash.stack_bytes)
    assert answer["state"] == "crashed"
    frames = [frame_of(frame) for frame in answer["backtrace"]]
    assert re.search(crash.reason, answer["reason"]), answer["reason"]
    assert answer["unwound_until"] is None
    assert [frame.call for frame in reversed(frames) if frame.call is not None] == open_calls(answer)
    own = [frame for frame in frames if not (frame.module or "").endswith("libcalltrace.so")]
    parts = [slice(None)]
    if crash.stack_bytes:  # how deep it comes depends on what else is on the stack
        parts = [slice(0, 100), slice(-100, None)]
    for part in parts:
        assert differences(own[part], seen.frames[part], optimized="O2" in build, addresses=False) == []


def open_calls(answer: dict[str, Any]) -> list[int]:
    """The calls of the crashing thread that were open, outermost first."""
    (thread,) = [thread for thread in answer["open_calls"] if thread["crashed"]]
    return [call["call"] for call in thread["calls"]]
