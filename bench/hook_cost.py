"""What the agent's hooks cost the program, compared with the least that hooks could do.

The ring must not fill up, or the program would wait for the collector and that would be measured. So it makes
bursts of calls that fit into the ring, with pauses in which the flusher and the collector, which have the
other processors, catch up. It runs with CALLTRACE_OVERFLOW=drop: a ring that had been full would show as lost
events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median

from bench.collector import Collector, Traced
from bench.measurement import Bench, BenchError, Measurement, spread
from bench.program import Run, environment, run
from bench.result import Result, at_most

RATIO_TARGET = at_most(1.3)
WHAT = "enter+exit pair above no-op hooks"


@dataclass(frozen=True, slots=True)
class Subject:
    """A program to measure; an entry and an exit take 40 bytes of the 1 MiB of a ring."""

    name: str
    program: str
    size: int


# fib(19) makes 13,529 calls.
SUBJECTS = (
    Subject("fib", "fib", 19),
    Subject("leaf", "leaf", 13_000),
    Subject("4 threads", "threads", 19),
)

Runner = Callable[[list[str | int]], Run]


def rounds(bench: Bench) -> int:
    return bench.choose(9, 3)


def bursts(bench: Bench) -> int:
    return bench.choose(100, 20)


def interleaved(bench: Bench, subject: Subject, runners: dict[str, Runner]) -> dict[str, list[float]]:
    """Runs a program with each kind of hooks in turn, several times; returns ns per call of each run."""
    command: list[str | int] = [str(bench.workshop.program(subject.program)), subject.size, bursts(bench)]
    times: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(rounds(bench)):
        for name, runner in runners.items():
            bench.step(f"{subject.name} with {name} hooks")
            times[name].append(runner(command).ns_per_call)
    return times


def preloaded(bench: Bench, hooks: str) -> Runner:
    """Runs programs with hooks of ours."""
    return partial(run, its_environment=environment(bench.workshop.hooks(hooks)))


class Agent:
    """Runs programs with the agent, and watches for full rings.

    Args:
        collector: takes what they do.
        settings: of the agent, that is, more of the programs' environment.
    """

    def __init__(self, collector: Collector, **settings: str) -> None:
        self._collector = collector
        self._settings = settings
        self.lost = 0
        self.made = 0
        self.last: Traced | None = None

    @property
    def note(self) -> str:
        """Says that the ring was full, if it was."""
        return f"ring full for {self.lost:,} of {self.made:,} events" if self.lost else ""

    def __call__(self, command: list[str | int]) -> Run:
        traced = self._collector.trace(command, None, CALLTRACE_OVERFLOW="drop", **self._settings)
        events = 2 * traced.run.calls
        self.made += events
        self.last = traced
        self.lost += traced.process.lost_events
        threads = self._collector.reader.threads(traced.process.id)
        orphan_exits = sum(thread.orphan_exits for thread in threads)
        if traced.process.calls * 2 + orphan_exits + traced.process.lost_events < events:
            raise BenchError(f"of {events:,} events, some are neither stored nor counted as lost")
        return traced.run


def measure(bench: Bench) -> list[Result]:
    results = []
    with Collector() as collector:
        for subject in SUBJECTS:
            agent = Agent(collector)
            runners: dict[str, Runner] = {
                "no-op": preloaded(bench, "noop"),
                "reference": preloaded(bench, "reference"),
                "agent": agent,
            }
            times = interleaved(bench, subject, runners)
            results.extend(_results(subject, times, agent.note))
    return results


def _results(subject: Subject, times: dict[str, list[float]], note: str) -> list[Result]:
    noop, reference, agent = (median(times[name]) for name in ("no-op", "reference", "agent"))
    ratios = [
        (with_agent - without) / (with_reference - without)
        for without, with_reference, with_agent in zip(*times.values(), strict=True)
    ]
    return [
        Result(WHAT, f"{subject.name}, agent", agent - noop, "ns", note=note),
        Result(WHAT, f"{subject.name}, reference", reference - noop, "ns"),
        Result(
            WHAT,
            f"{subject.name}, agent / reference",
            median(ratios),
            "",
            RATIO_TARGET,
            spread(ratios, 2),
        ),
    ]


def steps(bench: Bench) -> int:
    return len(SUBJECTS) * rounds(bench) * 3


MEASUREMENT = Measurement("hooks", steps, measure)
