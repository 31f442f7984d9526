"""What capturing three integer arguments and a return value costs the program, above hooks that do nothing.

As in hook_cost.py, bursts of calls fit into the ring, and a ring that had been full would show.
"""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median

from bench.collector import Collector, Traced
from bench.hook_cost import WHAT, Agent, Runner, Subject, interleaved, preloaded, rounds
from bench.measurement import Bench, BenchError, Measurement, spread
from bench.program import environment
from bench.result import Result, at_most

TARGET = at_most(60.0)
# A pair with values takes at most 128 bytes of the 1 MiB of a ring.
SUBJECT = Subject("3 arguments and a return value", "captured", 4_000)
CHECKED_CALLS = 1000


def measure(bench: Bench) -> list[Result]:
    with Collector() as collector:
        capturing = Agent(collector, CALLTRACE_CAPTURE_ARGS="1")
        runners: dict[str, Runner] = {
            "no-op": preloaded(bench, "noop"),
            "capturing": capturing,
            "plain": Agent(collector),
        }
        times = interleaved(bench, SUBJECT, runners)
        assert capturing.last is not None
        _check_values(collector, capturing.last)
    above = {
        name: [ns - without for ns, without in zip(values, times["no-op"], strict=True)]
        for name, values in times.items()
    }
    note = "; ".join(filter(None, (capturing.note, spread(above["capturing"], 0))))
    return [
        Result(WHAT, SUBJECT.name, median(above["capturing"]), "ns", TARGET, note),
        Result(WHAT, "the same calls, nothing captured", median(above["plain"]), "ns"),
    ]


def _check_values(collector: Collector, traced: Traced) -> None:
    """Checks the first calls' values against the program's arithmetic.

    Raises:
        BenchError: they are wrong, or missing.
    """
    query = [sys.executable, "-P", "-m", "calltrace_collector.cli.calltrace", "query"]
    query += ["--process", str(traced.process.id), "--db", str(collector.database)]
    query += ["--function", "weigh", "--format", "jsonl", "--limit", str(CHECKED_CALLS)]
    done = subprocess.run(query, env=environment(), capture_output=True, text=True, check=True)
    calls = [json.loads(line) for line in done.stdout.splitlines()]
    for number, call in enumerate(calls):
        passed = [argument.get("value") for argument in call.get("arguments", ())]
        returned = call.get("return_value", {}).get("value")
        i = number % SUBJECT.size
        expected = [i, i << 20, 7]
        if (passed, returned) != (expected, i + (i << 20) * 7):
            raise BenchError(f"call {number} of weigh was captured with {passed} and {returned}: {call}")
    if len(calls) != CHECKED_CALLS:
        raise BenchError(f"only {len(calls):,} of {CHECKED_CALLS:,} calls are shown")


def steps(bench: Bench) -> int:
    return rounds(bench) * 3


MEASUREMENT = Measurement("capture", steps, measure)
