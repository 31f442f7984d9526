"""Searches and trees the slow way: over the list of all calls, for comparison."""

from __future__ import annotations

import random
from fnmatch import fnmatchcase

from calltrace_collector.core.twin import Call
from calltrace_collector.query.filters import CallFilter
from tests.support.synthetic import START_NS, Synthetic, function

FUNCTIONS = [function("main"), function("work"), function("wait"), function("leaf"), function("read")]
SEEDS = range(6)


def random_process(synthetic: Synthetic, seed: int) -> None:
    """Fills a process with some 300 calls on each thread, and leaves some of them open."""
    synthetic.at_random(seed, 1500)
    synthetic.commit()


def random_filter(synthetic: Synthetic, seed: int) -> CallFilter:
    """A filter that some of the calls pass."""
    chance = random.Random(seed)
    last_ns = max(synthetic.unix_ns(thread.last_ticks) for thread in synthetic.twin.threads.values())
    times = sorted(chance.randint(START_NS, last_ns) for _ in range(2))
    return CallFilter(
        function=chance.choice([None, "leaf", "w*", "[mr]*d", "*"]),
        min_duration_ns=chance.choice([None, None, 1, 12, 1000, 50_000, 400_000]),
        since_ns=chance.choice([None, None, times[0]]),
        until_ns=chance.choice([None, None, times[1]]),
        max_depth=chance.choice([None, None, 0, 2, 5]),
    )


def passes(synthetic: Synthetic, call: Call, wanted: CallFilter) -> bool:
    """Whether a call passes a filter."""
    start_ns = synthetic.unix_ns(call.start_ticks)
    end_ns = synthetic.unix_ns(synthetic.until_ticks(call))
    return (
        (wanted.function is None or fnmatchcase(synthetic.name(call), wanted.function))
        and (wanted.min_duration_ns is None or end_ns - start_ns >= wanted.min_duration_ns)
        and (wanted.since_ns is None or end_ns >= wanted.since_ns)
        and (wanted.until_ns is None or start_ns <= wanted.until_ns)
        and (wanted.max_depth is None or call.depth <= wanted.max_depth)
    )
