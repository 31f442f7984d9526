"""The core makes of any stream of events what its twin makes of it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from calltrace_collector.core import Limits
from tests.unit.core.world import Action, World

KINDS = (
    ["enter"] * 8 + ["exit"] * 6 + ["abandon", "lose", "move", "orphan", "drop", "cut", "dive", "rise"]
    + ["thread", "send", "send", "flush", "clean", "restart", "forget"]
)  # fmt: skip
TICKS = [0, 1, 15, 16, 17, 31, 255, 256, 65_535, 65_536, 70_000, 2**24 + 3, 2**40]

actions: st.SearchStrategy[Action] = st.tuples(
    st.sampled_from(KINDS), st.integers(0, 9), st.sampled_from(TICKS)
)
limits = st.builds(
    Limits,
    contexts=st.sampled_from([1, 2, 5, 1000]),
    chunk_rows=st.sampled_from([1, 2, 3, 8, 50, 65_536]),
    keep_rows=st.sampled_from([1, 2, 10, 8192]),
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
