"""Measures what tracing costs and how fast it is, and compares with the targets: `make bench`.

Exits with 0 whether the targets are met or not, and with 1 when a measurement failed: when calls were lost,
say. docs/benchmarks.md explains the method.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import (
    capture_cost,
    depth,
    hook_cost,
    machine,
    memory,
    peers,
    plan_cost,
    startup,
    table,
    throughput,
)
from bench.measurement import Bench, BenchError, Measurement
from bench.progress import Progress
from bench.result import Result
from bench.workshop import Workshop
from calltrace_collector.errors import CalltraceError

MEASUREMENTS = (
    hook_cost.MEASUREMENT,
    capture_cost.MEASUREMENT,
    plan_cost.MEASUREMENT,
    throughput.MEASUREMENT,
    memory.MEASUREMENT,
    startup.MEASUREMENT,
    depth.MEASUREMENT,
    peers.MEASUREMENT,
)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run.py", description="Measure what tracing costs.")
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds: about 20 seconds")
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        choices=[measurement.name for measurement in MEASUREMENTS],
        help="one of %(choices)s; may be repeated",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results to FILE, too")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    wanted = [m for m in MEASUREMENTS if options.only is None or m.name in options.only]
    on = machine.describe()
    with Progress() as progress, tempfile.TemporaryDirectory(prefix="ct-bench-") as folder:
        bench = Bench(Workshop(Path(folder)), options.quick, progress.step)
        progress.expect(sum(measurement.steps(bench) for measurement in wanted))
        results = [result for measurement in wanted for result in _measure(measurement, bench)]
    table.show(results, on)
    if options.json is not None:
        table.save(results, on, options.json)
    return int(any(result.failed for result in results))


def _measure(measurement: Measurement, bench: Bench) -> list[Result]:
    """One measurement that fails shall not keep the others from being made."""
    try:
        return measurement.measure(bench)
    except (BenchError, CalltraceError, OSError, subprocess.SubprocessError) as error:
        return [Result(measurement.name, "", None, "", note=str(error), failed=True)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
