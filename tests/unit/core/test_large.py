"""What small random traces do not reach: full chunks, deep stacks, many callees, long runs."""

import random

import numpy as np
import numpy.typing as npt
import pytest

from calltrace_collector.core import CHUNK_ROWS, SITE, Chunk, Limits, Trace, decode_profile
from calltrace_collector.core.twin import ABANDONED, OPEN, RETURNED
from calltrace_collector.wire._pb.calltrace.v1.events_pb2 import EventBatch, Mark, Site
from tests.unit.core.comparison import decode
from tests.unit.core.world import Action, World

DEPTH = 1_000_000
STEP = 65_536


def varints(values: npt.NDArray[np.uint64]) -> bytes:
    """Packs values below 2^14, each in two bytes."""
    pairs = np.empty((len(values), 2), np.uint8)
    pairs[:, 0] = values & 0x7F | 0x80
    pairs[:, 1] = values >> 7
    return pairs.tobytes()


def feed(core: Trace, dt: npt.NDArray[np.uint64], op: int) -> list[Chunk]:
    """Feeds the same event over and over; returns the chunks that got full."""
    chunks: list[Chunk] = []
    for start in range(0, len(dt), STEP):
        part = dt[start : start + STEP]
        state = core.thread(0)
        batch = EventBatch(
            base_ticks=state.last_ticks, ring_begin=state.ring_end, ring_end=state.ring_end + len(part)
        )
        columns = varints(part), bytes([op]) * len(part)
        sizes = [
            bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14]) for size in map(len, columns)
        ]
        core.feed(
            batch.SerializeToString() + b"\x3a" + sizes[0] + columns[0] + b"\x42" + sizes[1] + columns[1]
        )
        chunks += core.take_chunks()
    return chunks


def dive(depth: int) -> tuple[Trace, npt.NDArray[np.uint64], list[Chunk]]:
    """A function that calls itself: the trace, when each call began, and the full chunks."""
    core = Trace()
    core.declare_thread(0, 0, 0)
    core.feed(EventBatch(sites=[Site(function_address=1, frame_delta_bytes=48)]).SerializeToString())
    dt = 128 + np.arange(depth, dtype=np.uint64) % 1000
    return core, np.cumsum(dt), feed(core, dt, op=1)


def test_a_million_calls_deep() -> None:
    core, starts, full = dive(DEPTH)
    assert [chunk.rows for chunk in full] == [CHUNK_ROWS] * (DEPTH // CHUNK_ROWS)
    assert core.thread(0).depth == core.thread(0).calls == DEPTH
    assert core.thread(0).folded == DEPTH - (Limits().contexts - 1)
    frames = core.frames(0)
    assert np.array_equal(frames["call"], np.arange(1, DEPTH + 1))
    assert np.array_equal(frames["start_ticks"], starts)
    assert np.array_equal(frames["stack_pointer"], (-48 * np.arange(1, DEPTH + 1)).astype(np.uint64))
    core.flush()
    rising = [*full, *core.take_chunks()]
    for chunk in rising:
        rows = decode(chunk)
        assert np.all(rows.status == OPEN)
        assert np.array_equal(rows.start_ticks, starts[rows.call - 1])
        assert np.array_equal(rows.parent, rows.call - 1)
        assert np.array_equal(rows.depth, rows.call - 1)

    steps = 200 + np.arange(DEPTH, dtype=np.uint64) % 900
    ends = starts[-1] + np.cumsum(steps)[::-1]
    falling = feed(core, steps, op=0)
    core.flush()
    falling += core.take_chunks()
    assert sum(chunk.rows for chunk in falling) == DEPTH
    for chunk in falling:
        rows = decode(chunk)
        assert chunk.late_rows == chunk.rows
        assert np.all(rows.status == RETURNED)
        assert np.array_equal(rows.start_ticks, starts[rows.call - 1])
        assert np.array_equal(rows.duration_ticks, (ends - starts)[rows.call - 1])
        inner = np.append((ends - starts)[1:], 0)[rows.call - 1]
        assert np.array_equal(rows.self_ticks, rows.duration_ticks - inner)
        assert np.array_equal(rows.parent, rows.call - 1)

    profile = decode_profile(core.profile(0))
    (sums,) = profile.functions.tolist()
    assert sums[2:] == (
        DEPTH,
        DEPTH,
        int((ends - starts)[0]),
        int((ends - starts)[0]),
        int((ends - starts)[-1]),
        int((ends - starts)[0]),
    )
    assert profile.bucket_calls.sum() == DEPTH
    assert profile.contexts["self_ticks"].sum() == (ends - starts)[0]


def test_a_million_calls_abandoned_at_once() -> None:
    core, starts, _ = dive(DEPTH)
    state = core.thread(0)
    core.feed(
        EventBatch(
            base_ticks=state.last_ticks,
            ring_begin=state.ring_end,
            ring_end=state.ring_end,
            marks=[Mark(kind=Mark.ABANDONED, value=DEPTH - 1)],
        ).SerializeToString()
    )
    core.flush()
    ends, selfs = np.zeros(DEPTH + 1, np.uint64), np.zeros(DEPTH + 1, np.uint64)
    for chunk in core.take_chunks():
        rows = decode(chunk)
        ended = rows.status == ABANDONED
        assert not ends[rows.call[ended]].any()
        ends[rows.call[ended]] = (rows.start_ticks + rows.duration_ticks)[ended]
        selfs[rows.call[ended]] = rows.self_ticks[ended]
    assert np.array_equal(ends[2:], np.full(DEPTH - 1, starts[-1]))
    assert np.array_equal(selfs[2:], np.append(np.diff(starts[1:]), 0))
    assert core.frames(0).tolist() == [(1, int(starts[0]), int(starts[-1] - starts[1]), 2**64 - 48, 0, 0)]


COUNTS = [10, 300] + [4] * 1000
"""How many callees each of the outermost functions has."""


@pytest.mark.parametrize("limit", [100, 100_000])
def test_nodes_with_many_callees(limit: int) -> None:
    """Wide nodes, found again in another order, after a restart, and beyond the limit."""
    world = World(Limits(contexts=limit, chunk_rows=500))
    order = random.Random(1)
    for turn in range(3):
        for outer, count in enumerate(COUNTS):
            world.act([("enter", outer * 2, 3)])
            for callee in order.sample(range(count), count):
                world.act([("enter", 20 + 2 * callee, 5), ("exit", 0, 7)])
            world.act([("exit", 0, 1)])
        if turn == 1:
            world.act([("restart", 0, 0)])
    world.check()
    contexts = decode_profile(world.core.profile(0)).contexts
    assert len(contexts) == min(limit, 1 + len(COUNTS) + sum(COUNTS))


def test_more_sites_than_two_bytes_count() -> None:
    core = Trace()
    sites = np.zeros(70_000, SITE)
    sites["function_address"] = 16 + np.arange(70_000) % 7
    sites["function"] = np.arange(70_000) % 7
    core.restore_sites(sites)
    core.declare_thread(0, 0, 0)
    used = [0, 69_999, 65_536, 255, 65_535]
    core.feed(EventBatch(dt=[1] * 5, op=[site + 1 for site in used]).SerializeToString())
    core.flush()
    (chunk,) = core.take_chunks()
    assert decode(chunk).site.tolist() == core.frames(0)["site"].tolist() == used


def random_program(seed: int, events: int) -> list[Action]:
    """A program that wanders up and down; a function has few callees of its own."""
    choose = random.Random(seed)
    actions: list[Action] = []
    stack = [0]
    while len(actions) < events:
        if len(stack) < 2 or (len(stack) < 12 and choose.random() < 0.5):
            stack.append((stack[-1] * 7 + choose.choice([1, 1, 1, 4, 9])) % 120)
            actions.append(("enter", stack[-1], choose.choice([20, 30, 300, 70_000])))
        else:
            stack.pop()
            actions.append(("exit", 0, choose.randrange(500)))
        if choose.random() < 0.001:
            actions.append(choose.choice([("send", 0, 0), ("flush", 0, 0), ("clean", 0, 0)]))
    return actions


def test_a_long_run_with_full_chunks() -> None:
    world = World(Limits(keep_rows=CHUNK_ROWS))
    world.act(random_program(seed=5, events=150_000))
    world.check()
    assert [world.chunks[0, number].rows == CHUNK_ROWS for number in range(len(world.chunks))] == [
        True,
        False,
    ]


def test_returns_of_more_calls_than_a_byte_counts() -> None:
    world = World(Limits(chunk_rows=2000))
    world.act([("enter", n % 5, 2) for n in range(1000)])
    world.act([("exit", 0, 1)] * 254 + [("enter", 1, 1)])
    world.act([("exit", 0, 1)] * 256 + [("enter", 1, 1)])
    world.act([("exit", 0, 1)] * 257 + [("enter", 1, 1)])
    world.act([("exit", 0, 1)] * 200 + [("send", 0, 0), ("flush", 0, 0)] + [("exit", 0, 1)] * 36)
    world.check()
