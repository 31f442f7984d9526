"""The core makes of any stream of events what its twin makes of it."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calltrace_collector.core import Limits
from tests.unit.core.world import Action, World

KINDS = (
    ["enter"] * 8
    + ["exit"] * 6
    + ["abandon", "lose", "unwind", "move", "orphan", "drop", "cut", "dive", "rise"]
    + ["stack", "switch", "switch", "capture", "capture", "capture"]
    + ["thread", "send", "send", "flush", "clean", "restart", "forget"]
)
TICKS = [0, 1, 15, 16, 17, 31, 255, 256, 65_535, 65_536, 70_000, 2**24 + 3, 2**40]

actions: st.SearchStrategy[Action] = st.tuples(
    st.sampled_from(KINDS), st.integers(0, 9), st.sampled_from(TICKS)
)
limits = st.builds(
    Limits,
    contexts=st.sampled_from([1, 2, 5, 1000]),
    chunk_rows=st.sampled_from([1, 2, 3, 8, 50, 65_536]),
    keep_rows=st.sampled_from([1, 2, 10, 8192]),
    chunk_values=st.sampled_from([1, 30, 300, 10_000]),
    keep_values=st.sampled_from([1, 20, 10_000]),
)


@settings(max_examples=400, deadline=None)
@given(limits, st.lists(actions, max_size=120))
def test_core_and_twin_agree(limits: Limits, actions: list[Action]) -> None:
    world = World(limits)
    world.act(actions)
    world.check()
    # Once more, with nothing open.
    world.act([("thread", thread, 0) for thread in range(3)])
    world.act([("exit", 0, 7)] * 100)
    world.check()


@pytest.mark.parametrize("seed", range(12))
def test_core_and_twin_agree_for_long(seed: int) -> None:
    choose = random.Random(seed)
    world = World(
        Limits(
            contexts=choose.choice([2, 5, 1000]),
            chunk_rows=choose.choice([3, 50, 300]),
            keep_rows=choose.choice([1, 20]),
            chunk_values=choose.choice([100, 2000, 1 << 20]),
            keep_values=choose.choice([10, 1000, 1 << 20]),
        )
    )
    for _ in range(4):
        world.act([(choose.choice(KINDS), choose.randrange(10), choose.choice(TICKS)) for _ in range(400)])
        world.check()


def test_every_way_to_end() -> None:
    """Also of calls with cut callees, whether their chunk is still growing or not."""
    for chunk_rows in (1, 100):
        world = World(Limits(chunk_rows=chunk_rows))
        for how in ("exit", "abandon", "lose", "unwind"):
            world.act([("enter", 1, 10), ("cut", 0, 0), ("cut", 1, 0), (how, 0, 5)])
            world.act([("enter", 1, 10), ("enter", 2, 1), ("cut", 2, 0), (how, 0, 5), (how, 0, 5)])
        world.check()
        assert [call.status for call in world.twin.threads[0].calls] == [5, 0, 5, 2, 2, 2, 6, 6, 6, 1, 1, 1]
