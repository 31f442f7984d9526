"""How fast calls get from the program into the database, all of them, and how many bytes they take there.

The time is from the program's start to the last commit, that is, with everything: starting, sending what the
collector has yet to take, ending. The collector is running already and has stored a run of the same program.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.collector import Collector
from bench.measurement import Bench, Measurement, spread
from bench.program import environment, run
from bench.result import Result, Target, at_least, at_most

EVENTS_PER_CALL = 2
BYTES_TARGET = at_most(6)


@dataclass(frozen=True, slots=True)
class Subject:
    """A program to trace; sizes for a thorough and for a quick run."""

    name: str
    program: str
    size: int
    quick_size: int
    rate_target: Target | None
    bytes_target: Target | None


SUBJECTS = (
    Subject("fib(32)", "fib", 32, 28, at_least(20), BYTES_TARGET),
    Subject("mixed, 200 functions", "mixed", 10_000_000, 1_000_000, at_least(10), BYTES_TARGET),
    Subject("C++ standard library", "stl", 20_000, 2_000, None, None),
)


@dataclass
class _Series:
    """The runs of a subject, into one database."""

    subject: Subject
    collector: Collector
    command: list[str | Path | int]
    rates: list[float] = field(default_factory=list)
    calls: int = 0


def rounds(bench: Bench) -> int:
    return bench.choose(5, 1)


def measure(bench: Bench) -> list[Result]:
    with ExitStack() as stack:
        all_series = [_series(bench, subject, stack.enter_context(Collector())) for subject in SUBJECTS]
        for number in range(rounds(bench) + 1):
            for series in all_series:
                bench.step(f"{series.subject.name} into a database")
                _go(bench, series, is_measured=number > 0)
        rates = [_rate_result(series) for series in all_series]
        return rates + [_bytes_result(series) for series in all_series]


def _series(bench: Bench, subject: Subject, collector: Collector) -> _Series:
    size = bench.choose(subject.size, subject.quick_size)
    return _Series(subject, collector, [bench.workshop.program(subject.program), size])


def _go(bench: Bench, series: _Series, *, is_measured: bool) -> None:
    traced = series.collector.trace(series.command)
    calls = traced.run.calls or _count(bench, series)
    series.collector.check_complete(traced, calls)
    series.calls += calls
    if is_measured:
        series.rates.append(calls * EVENTS_PER_CALL / traced.stored_s / 1e6)


def _count(bench: Bench, series: _Series) -> int:
    """How many calls a program makes that does not count them itself."""
    return run(series.command, environment(bench.workshop.hooks("count"))).calls


def _rate_result(series: _Series) -> Result:
    subject = series.subject
    return Result(
        "events stored per second, none lost",
        subject.name,
        median(series.rates),
        "million",
        subject.rate_target,
        spread(series.rates, 2),
    )


def _bytes_result(series: _Series) -> Result:
    size_bytes = series.collector.stop()
    return Result(
        "size of the database per call",
        series.subject.name,
        size_bytes / series.calls,
        "bytes",
        series.subject.bytes_target,
        f"{series.calls:,} calls",
    )


def steps(bench: Bench) -> int:
    return len(SUBJECTS) * (rounds(bench) + 1)


MEASUREMENT = Measurement("throughput", steps, measure)
