"""Runs the programs that are measured, and reads what they say."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.measurement import BenchError

WATCH_INTERVAL_S = 0.1
PATIENCE_S = 600.0


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a program.

    Attributes:
        pid: its process id.
        began_s: when it was started, by time.perf_counter().
        seconds: from its start to its end.
        calls: instrumented calls by its own count.
        burst_ns: for each burst the nanoseconds per call.
        errors: what it, or who traces it, said on standard error.
    """

    pid: int
    began_s: float
    seconds: float
    calls: int
    burst_ns: tuple[float, ...]
    errors: str

    @property
    def ns_per_call(self) -> float:
        """The median burst, without the first ones, in which memory is touched for the first time."""
        return median(self.burst_ns[len(self.burst_ns) // 10 :])


def environment(*preload: Path, **settings: str) -> dict[str, str]:
    """Returns our environment, less what tracers obey, plus libraries to preload and settings."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CALLTRACE_") and name != "LD_PRELOAD"
    }
    if preload:
        clean["LD_PRELOAD"] = ":".join(str(library) for library in preload)
    return clean | settings


def run(
    command: Sequence[str | Path | int],
    its_environment: Mapping[str, str],
    watch: Callable[[], None] | None = None,
) -> Run:
    """Runs a program to its end.

    Args:
        command: the program and its arguments.
        its_environment: all of its environment.
        watch: called regularly while it runs.

    Raises:
        BenchError: it failed, or does not end.
    """
    began_s = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command],
        env=dict(its_environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while watch is not None and not _has_ended(process):
        watch()
    try:
        output, errors = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        process.kill()
        raise BenchError(f"{command[0]} does not end") from error
    seconds = time.perf_counter() - began_s
    if process.returncode != 0:
        raise BenchError(f"{command[0]} ended with status {process.returncode}: {errors.strip()}")
    calls, bursts = _read(output)
    return Run(process.pid, began_s, seconds, calls, bursts, errors)


def _has_ended(process: subprocess.Popen[str]) -> bool:
    try:
        process.wait(WATCH_INTERVAL_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _read(output: str) -> tuple[int, tuple[float, ...]]:
    """Reads lines "calls N" and "burst CALLS NS"; what else a program or a tracer prints is passed over."""
    calls = 0
    bursts = []
    for line in output.splitlines():
        match line.split():
            case ["calls", number]:
                calls = int(number)
            case ["burst", number, ns]:
                bursts.append(int(ns) / int(number))
    return calls, tuple(bursts)
