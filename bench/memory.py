"""How much memory the collector needs, and that it does not need more the longer a program runs."""

from __future__ import annotations

from itertools import pairwise

from bench.collector import Collector
from bench.measurement import Bench, Measurement
from bench.result import Result, at_most

TARGET = at_most(300)
CALLS = 51_000_000
QUICK_CALLS = 4_000_000
POINTS = 5


class _Watch:
    """Notes the peak of the collector's memory beside how many calls it had stored."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self.samples: list[tuple[int, int]] = []

    def __call__(self) -> None:
        for process in self._collector.reader.processes(limit=1):
            self.samples.append((process.calls, self._collector.peak_bytes()))


def measure(bench: Bench) -> list[Result]:
    calls = bench.choose(CALLS, QUICK_CALLS)
    with Collector() as collector:
        bench.step(f"a run of {calls * 2 / 1e6:.0f} million events")
        idle = collector.peak_bytes()
        watch = _Watch(collector)
        traced = collector.trace([bench.workshop.program("mixed"), calls], watch)
        collector.check_complete(traced, traced.run.calls)
        samples = [(0, idle), *watch.samples, (traced.run.calls, collector.peak_bytes())]
    return [_result(stored, peak) for stored, peak in _some(samples)]


def _some(samples: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The samples nearest behind equal parts of the run."""
    last = samples[-1][0]
    bounds = [last * point // (POINTS - 1) for point in range(POINTS)]
    chosen = [next(sample for sample in samples if sample[0] >= bound) for bound in bounds]
    return chosen[:1] + [later for earlier, later in pairwise(chosen) if later != earlier]


def _result(stored: int, peak_bytes: int) -> Result:
    subject = f"after {stored * 2 / 1e6:,.0f} million events" if stored else "before the first event"
    return Result("collector's peak memory", subject, peak_bytes / 1e6, "MB", TARGET)


MEASUREMENT = Measurement("memory", lambda _: 1, measure)
