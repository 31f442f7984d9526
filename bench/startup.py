"""What tracing adds to the start and the end of a program that does nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path
from statistics import median

from bench.collector import Collector
from bench.measurement import Bench, BenchError, Measurement, spread
from bench.program import environment
from bench.result import Result

WHAT = "added to a program that does nothing"


def rounds(bench: Bench) -> int:
    return bench.choose(40, 10)


def measure(bench: Bench) -> list[Result]:
    programs = {
        "instrumented": bench.workshop.program("trivial"),
        "not instrumented": bench.workshop.program("trivial", instrumented=False),
    }
    added: dict[str, list[float]] = {name: [] for name in programs}
    without = environment()
    with Collector() as collector:
        traced = collector.environment()
        for number in range(rounds(bench) + 1):
            bench.step("starting programs")
            for name, program in programs.items():
                milliseconds = _run(program, traced) - _run(program, without)
                if number > 0:  # the first time, files are read and the collector imports what it needs
                    added[name].append(milliseconds)
    notes = {
        "instrumented": "until its calls are stored; ",
        "not instrumented": "the agent is loaded and does nothing; ",
    }
    return [
        Result(WHAT, name, median(ms), "ms", note=notes[name] + spread(ms, 1)) for name, ms in added.items()
    ]


def _run(program: Path, its_environment: dict[str, str]) -> float:
    """Runs a program; returns the milliseconds from its start to its end."""
    began_ns = time.perf_counter_ns()
    pid = os.posix_spawn(program, [str(program)], its_environment)
    _, status = os.waitpid(pid, 0)
    ended_ns = time.perf_counter_ns()
    if status != 0:
        raise BenchError(f"{program} ended with status {status}")
    return (ended_ns - began_ns) / 1e6


MEASUREMENT = Measurement("startup", lambda bench: rounds(bench) + 1, measure)
