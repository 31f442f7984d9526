"""Recursion 100,000 deep: that every call is there, at its depth."""

from __future__ import annotations

from bench.collector import Collector
from bench.measurement import Bench, Measurement
from bench.result import Result, at_least

DEPTH = 100_000
TIMES = 10


def measure(bench: Bench) -> list[Result]:
    with Collector() as collector:
        bench.step(f"recursion {DEPTH:,} deep")
        traced = collector.trace([bench.workshop.program("deep"), DEPTH, TIMES])
        process = traced.process
        collector.check_complete(traced, traced.run.calls)
        reader = collector.reader
        heads = [
            head
            for thread in reader.threads(process.id)
            for head in reader.chunk_heads(process.id, thread.number)
        ]
    levels = 1 + max(head.max_depth for head in heads)
    return [
        Result(
            "calls stored of deep recursion", f"{TIMES} times", process.calls, "", at_least(DEPTH * TIMES)
        ),
        Result("greatest depth stored", "of the same", levels, "levels", at_least(DEPTH)),
    ]


MEASUREMENT = Measurement("depth", lambda _: 1, measure)
