"""A stored state is not trusted: it is taken whole, or refused and nothing has changed."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calltrace_collector.core import FRAME, Limits, ThreadState, Trace, decode_profile
from calltrace_collector.errors import ProtocolError
from calltrace_collector.wire._pb.calltrace.v1.events_pb2 import EventBatch
from tests.unit.core.world import World, snapshot

LIMITS = Limits(open_calls=20)

Frames = npt.NDArray[np.void]


def stored() -> Trace:
    world = World(LIMITS)
    world.act([("dive", 1, 300), ("exit", 0, 5), ("cut", 3, 0), ("drop", 1, 0), ("send", 0, 0)])
    world.check()
    return world.core


def fresh() -> Trace:
    core = Trace(LIMITS)
    core.restore_sites(stored().sites())
    core.declare_thread(0, 77, 88)
    return core


SAVED = stored()
STATE, FRAMES, PROFILE = SAVED.thread(0), SAVED.frames(0), SAVED.profile(0)


def test_the_restored_thread_is_the_stored_one() -> None:
    core = fresh()
    core.restore_thread(0, STATE, FRAMES, PROFILE)
    assert core.thread(0) == replace(STATE, is_dirty=False, changed_from=STATE.depth)
    assert core.frames(0).tolist() == FRAMES.tolist()
    assert core.profile(0) == PROFILE


def frame(index: int, **fields: int) -> Frames:
    frames = FRAMES.copy()
    for name, value in fields.items():
        frames[name][index] = value
    return frames


@pytest.mark.parametrize(
    ("state", "frames"),
    [
        (STATE, frame(2, call=2)),
        (STATE, frame(0, call=0)),
        (STATE, frame(6, call=STATE.calls + 1)),
        (STATE, frame(3, start_ticks=FRAMES["start_ticks"][2] - 1)),
        (STATE, frame(6, start_ticks=STATE.last_ticks + 1)),
        (STATE, frame(0, child_ticks=STATE.last_ticks)),
        (STATE, frame(4, site=SAVED.site_count)),
        (replace(STATE, last_ticks=FRAMES["start_ticks"][6] - 1), FRAMES),
        (replace(STATE, calls=6), FRAMES),
        (replace(STATE, depth=21), np.resize(FRAMES, 21)),
    ],
)
def test_impossible_states_are_refused(state: ThreadState, frames: Frames) -> None:
    core = fresh()
    before = snapshot(core)
    with pytest.raises(ProtocolError, match=r"^stored state of thread 0: "):
        core.restore_thread(0, state, frames, PROFILE)
    assert snapshot(core) == before
    core.restore_thread(0, STATE, FRAMES, PROFILE)


def test_the_number_of_frames_must_be_the_depth() -> None:
    with pytest.raises(ValueError, match="6 open calls instead of 7"):
        fresh().restore_thread(0, STATE, FRAMES[:6], PROFILE)


def _feed(core: Trace) -> None:
    core.feed(EventBatch(base_ticks=77, ring_end=1).SerializeToString())


def _restore(core: Trace) -> None:
    core.restore_thread(0, STATE, FRAMES, PROFILE)


@pytest.mark.parametrize("use", [_feed, _restore])
def test_a_used_thread_is_not_replaced(use: Callable[[Trace], None]) -> None:
    core = fresh()
    use(core)
    before = snapshot(core)
    with pytest.raises(ProtocolError):
        core.restore_thread(0, STATE, FRAMES, PROFILE)
    assert snapshot(core) == before


def test_an_unknown_thread_is_not_restored() -> None:
    with pytest.raises(ProtocolError):
        fresh().restore_thread(1, STATE, FRAMES, PROFILE)


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 9999), st.integers(0, 255), st.sampled_from("=+-")), min_size=1, max_size=3
    )
)
def test_damaged_profiles(damages: list[tuple[int, int, str]]) -> None:
    data = bytearray(PROFILE)
    for place, byte, how in damages:
        at = place % (len(data) + 1)
        data[at : at if how == "+" else at + 1] = b"" if how == "-" else bytes([byte])
    core = fresh()
    before = snapshot(core)
    try:
        profile = decode_profile(bytes(data))
    except ProtocolError:
        with pytest.raises(ProtocolError):
            core.restore_thread(0, STATE, FRAMES, bytes(data))
        assert snapshot(core) == before
        return
    assert np.all(profile.contexts["parent"][1:] < np.arange(1, len(profile.contexts)))
    assert profile.functions["buckets"].sum() == len(profile.bucket_calls)
    try:
        core.restore_thread(0, STATE, FRAMES, bytes(data))
    except ProtocolError:
        assert snapshot(core) == before
    else:
        decode_profile(core.profile(0))


def test_every_beginning_of_a_profile_is_refused() -> None:
    for size in range(len(PROFILE)):
        with pytest.raises(ProtocolError, match=f"^profile of {size} bytes: malformed data$"):
            decode_profile(PROFILE[:size])


@pytest.mark.parametrize(
    ("functions", "known"),
    [([1], 0), ([0, 2], 0), ([0, 1, 0, 2**32 - 1], 0), ([0, 1, 2, 3], 0)],
)
def test_stored_sites_number_functions_without_gaps(functions: list[int], known: int) -> None:
    core = Trace(Limits(functions=3))
    sites = np.zeros(len(functions), SAVED.sites().dtype)
    sites["function"] = functions
    sites["function_address"] = np.arange(1, len(functions) + 1)
    with pytest.raises(ProtocolError, match=f"^{len(functions)} stored sites: "):
        core.restore_sites(sites)
    assert core.site_count == core.function_count == known


def test_too_many_stored_sites() -> None:
    core = Trace(Limits(sites=3))
    sites = np.zeros(4, SAVED.sites().dtype)
    with pytest.raises(ProtocolError, match="limits"):
        core.restore_sites(sites)
    core.restore_sites(sites[:3])
    with pytest.raises(ProtocolError, match="limits"):
        core.restore_sites(sites[:1])
    assert core.site_count == 3


def test_frames_of_depth_zero() -> None:
    core, other = fresh(), Trace()
    other.declare_thread(0, 3, 4)
    core.restore_thread(0, other.thread(0), np.zeros(0, FRAME), other.profile(0))
    assert core.thread(0) == other.thread(0)
