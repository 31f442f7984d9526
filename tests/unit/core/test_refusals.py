"""What must not be applied is refused, with a reason, and nothing has changed then."""

import re
from collections.abc import Callable

import pytest

from calltrace_collector.core import Limits, Trace
from calltrace_collector.core.twin import Refused, Twin
from calltrace_collector.errors import ProtocolError
from calltrace_collector.wire._pb.calltrace.v1.events_pb2 import EventBatch, Mark, Site, Stack
from tests.unit.core.world import snapshot

LIMITS = Limits(threads=3, sites=5, functions=3, open_calls=4)
MALFORMED = "malformed data"
RANGE = "a number that names nothing"
STACK = "an event that does not fit the stack of open calls"
LIMIT = "more than the limits allow"
ORDER = "a batch that does not follow the one before"


def site(address: int) -> Site:
    return Site(function_address=address, call_site_address=7)


def mark(index: int, kind: int, value: int) -> Mark:
    return Mark(index=index, kind=kind, value=value)  # type: ignore[arg-type]


def second_batch() -> EventBatch:
    """A batch that may follow the first; two calls are open and three sites known."""
    return EventBatch(
        thread=1,
        ring_begin=10,
        ring_end=20,
        base_ticks=130,
        first_site=3,
        sites=[site(0x40), site(0x10)],
        dt=[1, 2, 3],
        op=[4, 0, 5],
        marks=[mark(1, 5, 1), mark(3, 1, 2)],
    )


def prepared() -> tuple[Trace, Twin]:
    core, twin = Trace(LIMITS), Twin(LIMITS)
    for trace in (core, twin):
        trace.declare_thread(1, 100, 0)
    first = EventBatch(
        thread=1,
        ring_end=10,
        base_ticks=100,
        sites=[site(0x10), site(0x20), site(0x10)],
        dt=[10, 20],
        op=[1, 3],
    )
    assert core.feed(first.SerializeToString()) == twin.feed(first) == 2
    return core, twin


def changed(**fields: object) -> Callable[[EventBatch], None]:
    def change(batch: EventBatch) -> None:
        batch.MergeFrom(EventBatch(**fields))  # type: ignore[arg-type]

    return change


def replaced(name: str, values: list[object]) -> Callable[[EventBatch], None]:
    def change(batch: EventBatch) -> None:
        batch.ClearField(name)  # type: ignore[arg-type]
        getattr(batch, name).extend(values)

    return change


CASES = [
    ("unknown thread", changed(thread=2), RANGE),
    ("thread beyond the limit", changed(thread=3), RANGE),
    ("gap in the ring", changed(ring_begin=11), ORDER),
    ("overlap in the ring", changed(ring_begin=9), ORDER),
    ("ring backwards", changed(ring_end=9), RANGE),
    ("other base", changed(base_ticks=131), ORDER),
    ("clock overflows", replaced("dt", [1, 2**64 - 132, 3]), RANGE),
    ("sites missing", changed(first_site=4), ORDER),
    ("sites repeated", changed(first_site=2), ORDER),
    ("no address", replaced("sites", [site(0), site(0x10)]), RANGE),
    ("too many sites", changed(sites=[site(0x40)]), LIMIT),
    ("too many functions", replaced("sites", [site(0x40), site(0x50)]), LIMIT),
    ("unknown site", replaced("op", [4, 0, 6]), RANGE),
    ("site 2^32 - 1", replaced("op", [4, 0, 2**32 - 1]), RANGE),
    ("dt too short", replaced("dt", [1, 2]), MALFORMED),
    ("op too short", replaced("op", [4, 0]), MALFORMED),
    ("one exit too many", replaced("op", [0, 0, 0]), STACK),
    ("too deep", replaced("op", [4, 4, 4]), LIMIT),
    ("marks not sorted", replaced("marks", [mark(2, 5, 1), mark(1, 5, 1)]), RANGE),
    ("mark beyond the end", replaced("marks", [mark(4, 4, 1)]), RANGE),
    ("mark of no kind", replaced("marks", [mark(1, 0, 1)]), RANGE),
    ("mark of unknown kind", replaced("marks", [mark(1, 10, 1)]), RANGE),
    ("switch to no stack", replaced("marks", [mark(1, 9, 7)]), RANGE),
    ("switch to nowhere", replaced("marks", [mark(1, 9, 2**40)]), RANGE),
    ("stack pointer before a switch", replaced("marks", [mark(2, 3, 8), mark(2, 9, 1)]), RANGE),
    ("stack of a known number", changed(stacks=[Stack(thread=1)]), RANGE),
    ("stack twice", changed(stacks=[Stack(thread=2), Stack(thread=2)]), RANGE),
    ("stack beyond the limit", changed(stacks=[Stack(thread=2), Stack(thread=3)]), LIMIT),
    (
        "exit on an empty stack",
        changed(stacks=[Stack(thread=2)], marks=[mark(3, 9, 2), mark(3, 1, 1)]),
        STACK,
    ),
    ("too few sizes of values", changed(value_sizes=[4, 0], values=b"abcd"), MALFORMED),
    ("too many sizes of values", changed(value_sizes=[4, 0, 0, 0], values=b"abcd"), MALFORMED),
    ("too few values", changed(value_sizes=[4, 5, 4], values=bytes(12)), MALFORMED),
    ("too many values", changed(value_sizes=[4, 5, 4], values=bytes(14)), MALFORMED),
    ("values without sizes", changed(values=bytes(4)), MALFORMED),
    ("sizes without values", changed(value_sizes=[4, 4, 4]), MALFORMED),
    ("values too small", changed(value_sizes=[4, 3, 4], values=bytes(11)), MALFORMED),
    ("values too large", changed(value_sizes=[4, 4097, 0], values=bytes(4101)), LIMIT),
    ("mark of negative kind", replaced("marks", [mark(1, -1, 1)]), RANGE),
    ("none abandoned", replaced("marks", [mark(1, 1, 0)]), RANGE),
    ("none lost", replaced("marks", [mark(1, 6, 0)]), RANGE),
    ("none dropped", replaced("marks", [mark(1, 4, 0)]), RANGE),
    ("none cut", replaced("marks", [mark(1, 5, 0)]), RANGE),
    ("none unwound", replaced("marks", [mark(1, 8, 0)]), RANGE),
    ("no time passed", replaced("marks", [mark(1, 7, 0), mark(1, 8, 1)]), RANGE),
    ("time passed at the end", replaced("marks", [mark(3, 7, 5)]), RANGE),
    ("time passed before an event", replaced("marks", [mark(1, 7, 5), mark(2, 8, 1)]), RANGE),
    ("time passed before a drop", replaced("marks", [mark(1, 7, 5), mark(1, 4, 1)]), RANGE),
    ("passing time overflows", replaced("marks", [mark(3, 7, 2**64 - 132), mark(3, 8, 2)]), RANGE),
    ("too many unwound", replaced("marks", [mark(1, 8, 4)]), STACK),
    ("too many abandoned", replaced("marks", [mark(1, 1, 4)]), STACK),
    ("2^64 - 1 abandoned", replaced("marks", [mark(1, 1, 2**64 - 1)]), STACK),
    ("too many lost", replaced("marks", [mark(3, 6, 4)]), STACK),
    ("abandoned twice", replaced("marks", [mark(2, 1, 2), mark(2, 1, 1)]), STACK),
    ("exit of the abandoned", replaced("marks", [mark(1, 1, 3)]), STACK),
    ("stack pointer of an exit", replaced("marks", [mark(1, 3, 8)]), RANGE),
    ("stack pointer of nothing", replaced("marks", [mark(3, 3, 8)]), RANGE),
]


@pytest.mark.parametrize(("change", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_batch_is_refused(change: Callable[[EventBatch], None], reason: str) -> None:
    core, twin = prepared()
    before = snapshot(core)
    batch = second_batch()
    change(batch)
    data = batch.SerializeToString()
    with pytest.raises(ProtocolError, match=rf"^batch of {len(data)} bytes: {re.escape(reason)}$"):
        core.feed(data)
    with pytest.raises(Refused):
        twin.feed(batch)
    assert snapshot(core) == before
    # It still takes what it would have taken.
    batch = second_batch()
    assert core.feed(batch.SerializeToString()) == twin.feed(batch) == 3
    assert snapshot(core) != before
    assert core.function_count == twin.function_count
    assert [site[:4] for site in core.sites().tolist()] == twin.sites


def test_every_beginning_of_a_batch_is_refused_or_changes_the_trace_as_the_twin() -> None:
    data = second_batch().SerializeToString()
    accepted = 0
    for size in range(len(data)):
        core, twin = prepared()
        before = snapshot(core)
        try:
            core.feed(data[:size])
        except ProtocolError:
            assert snapshot(core) == before
        else:
            twin.feed(EventBatch.FromString(data[:size]))
            accepted += 1
    assert 0 < accepted < len(data) / 2


def test_without_sites_the_first_number_does_not_matter() -> None:
    core, _ = prepared()
    assert (
        core.feed(EventBatch(thread=1, ring_begin=10, ring_end=10, base_ticks=130).SerializeToString()) == 0
    )


def test_cut_calls_without_an_open_call_are_counted() -> None:
    core = Trace(LIMITS)
    core.declare_thread(0, 0, 0)
    core.feed(EventBatch(marks=[mark(0, 5, 3)]).SerializeToString())
    assert core.thread(0).cut == 3


def test_declaring_again_changes_nothing() -> None:
    core, _ = prepared()
    before = snapshot(core)
    core.declare_thread(1, 999, 999)
    assert snapshot(core) == before


def test_thread_number_beyond_the_limit() -> None:
    core, _ = prepared()
    core.declare_thread(2, 0, 0)
    with pytest.raises(ProtocolError, match=f"^thread 3: {LIMIT}$"):
        core.declare_thread(3, 0, 0)
    assert [number for number, _ in core.threads()] == [1, 2]


def test_what_was_not_declared_or_is_not_there() -> None:
    core, _ = prepared()
    for call in (
        lambda: core.thread(0),
        lambda: core.frames(2),
        lambda: core.profile(7),
        lambda: core.clean(2**32 - 1),
        lambda: core.frames(1, 3, 1),
        lambda: core.frames(1, 1, 2),
        lambda: core.sites(4),
    ):
        with pytest.raises(ProtocolError, match=RANGE):
            call()
    assert len(core.sites(3)) == 0
    assert len(core.frames(1, 2)) == 0
