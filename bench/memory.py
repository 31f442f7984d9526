"""How much memory the collector needs, and that it does not need more the longer a program runs."""

from __future__ import annotations

from itertools import pairwise

from bench.collector import Collector, Memory
from bench.measurement import Bench, Measurement
from bench.result import Result, at_most

TARGET = at_most(300)
CALLS = 51_000_000
QUICK_CALLS = 4_000_000
POINTS = 5


_Sample = tuple[int, Memory]
"""How many calls were stored, and the memory then."""


class _Watch:
    """Takes samples."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self.samples: list[_Sample] = []

    def __call__(self) -> None:
        for process in self._collector.reader.processes(limit=1):
            self.samples.append((process.calls, self._collector.memory()))


def measure(bench: Bench) -> list[Result]:
    calls = bench.choose(CALLS, QUICK_CALLS)
    with Collector() as collector:
        bench.step(f"a run of {calls * 2 / 1e6:.0f} million events")
        idle = collector.memory()
        watch = _Watch(collector)
        traced = collector.trace([bench.workshop.program("mixed"), calls], watch)
        collector.check_complete(traced, traced.run.calls)
        samples = [(0, idle), *watch.samples, (traced.run.calls, collector.memory())]
    return [_result(stored, memory) for stored, memory in _some(samples)]


def _some(samples: list[_Sample]) -> list[_Sample]:
    """The samples nearest behind equal parts of the run."""
    last = samples[-1][0]
    bounds = [last * point // (POINTS - 1) for point in range(POINTS)]
    chosen = [next(sample for sample in samples if sample[0] >= bound) for bound in bounds]
    return chosen[:1] + [later for earlier, later in pairwise(chosen) if later != earlier]


def _result(stored: int, memory: Memory) -> Result:
    subject = f"after {stored * 2 / 1e6:,.0f} million events" if stored else "before the first event"
    note = f"{memory.now_bytes / 1e6:.0f} MB at that moment"
    return Result("collector's peak memory", subject, memory.peak_bytes / 1e6, "MB", TARGET, note)


MEASUREMENT = Measurement("memory", lambda _: 1, measure)
