"""Batches are read as any parser of protobuf would read them."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calltrace_collector.core import Limits, Trace
from calltrace_collector.core.twin import Refused, Twin
from calltrace_collector.errors import ProtocolError
from calltrace_collector.wire._pb.calltrace.v1.events_pb2 import EventBatch, Mark, Site
from tests.unit.core.world import World, snapshot


def varint(value: int) -> bytes:
    head = b""
    while value >= 0x80:
        head += bytes([value & 0x7F | 0x80])
        value >>= 7
    return head + bytes([value])


def tag(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def packed(number: int, values: list[int]) -> bytes:
    data = b"".join(map(varint, values))
    return tag(number, 2) + varint(len(data)) + data


SITES = EventBatch(sites=[Site(function_address=0x10), Site(function_address=0x20)]).SerializeToString()
DT, OP = packed(7, [1, 2, 3]), packed(8, [1, 2, 0])
UNKNOWN = [
    tag(10, 0) + varint(2**64 - 1),
    tag(99, 1) + bytes(8),
    tag(2**29 - 1, 2) + b"\x03abc",
    tag(77, 5) + bytes(4),
    tag(50, 3) + tag(1, 0) + b"\x05" + tag(2, 3) + tag(7, 2) + b"\x01x" + tag(2, 4) + tag(50, 4),
    tag(7, 5) + bytes(4),  # a known field of a type that it cannot have
    tag(6, 0) + b"\x01",
    tag(9, 1) + bytes(8),
    tag(2, 2) + b"\x01x",
]
SAME = [
    SITES + DT + OP,
    OP + DT + SITES,
    b"".join([UNKNOWN[0], SITES, *UNKNOWN, DT, UNKNOWN[4], OP, UNKNOWN[1]]),
    SITES + b"".join(tag(7, 0) + varint(dt) for dt in (1, 2, 3)) + OP,
    SITES + DT + b"".join(tag(8, 0) + varint(op) for op in (1, 2, 0)),
    SITES + packed(7, [1]) + OP + packed(7, []) + tag(7, 0) + b"\x02" + packed(7, [3]),
    SITES + DT + packed(8, [1, 2]) + packed(8, [0]),
    tag(1, 0) + b"\x05" + tag(4, 0) + b"\x09" + SITES + DT + OP + tag(1, 0) + b"\0" + tag(4, 0) + b"\0",
    SITES + tag(7, 2) + b"\x05\x81\x80\x00\x02\x03" + OP,  # a longer way to write 1
    SITES + tag(1, 0) + b"\x80" * 9 + b"\x02" + DT + OP,  # 65 bits: the rest is cut off
    SITES + tag(7, 2) + b"\x0c\x01" + b"\x82" + b"\x80" * 8 + b"\x7e\x03" + OP,
    SITES + DT + packed(8, [1, 2 + 2**32, 2**33]),  # uint32: the rest is cut off
]


@pytest.mark.parametrize("data", SAME)
def test_the_same_said_in_other_words(data: bytes) -> None:
    core, plain = Trace(), Trace()
    for trace in (core, plain):
        trace.declare_thread(0, 0, 0)
    assert plain.feed(SAME[0]) == core.feed(data) == len(EventBatch.FromString(data).dt) == 3
    assert snapshot(core) == snapshot(plain)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01",  # field 0
        b"\x07",  # wire type 7
        tag(1, 0),
        tag(1, 0) + b"\xff" * 10,
        tag(7, 2) + b"\x05\x01",
        tag(7, 2) + b"\x01\x80" + packed(8, [0]),
        packed(7, [1]) + tag(8, 2) + b"\x0b" + b"\xff" * 10 + b"\x01",
        tag(7, 2) + b"\x0b" + b"\xff" * 10 + b"\x01" + packed(8, [1]),
        tag(50, 3),
        tag(50, 4),
        tag(50, 3) + tag(51, 4),
        tag(50, 3) * 200 + tag(50, 4) * 200,
        tag(6, 2) + b"\x01\x09",
        tag(9, 2) + b"\x01\x08",
        varint(2**35 + 8) + b"\x01",  # a tag of more than 32 bits
        tag(99, 1) + bytes(7),
        tag(99, 5) + bytes(3),
    ],
)
def test_malformed(data: bytes) -> None:
    core = Trace()
    core.declare_thread(0, 0, 0)
    with pytest.raises(DecodeError):
        EventBatch.FromString(data)
    with pytest.raises(ProtocolError, match="malformed"):
        core.feed(data)


def test_values_of_every_length() -> None:
    """Lengths of varints meet the ends of the columns in every way."""
    for length in range(1, 40):
        ticks = [2 ** (7 * (i * 5 % 9)) - 1 for i in range(length)]
        batch = EventBatch(sites=[Site(function_address=1)], dt=ticks, op=[1] * length)
        core = Trace()
        core.declare_thread(0, 0, 0)
        assert core.feed(batch.SerializeToString()) == length
        starts = core.frames(0)["start_ticks"].tolist()
        assert starts == [sum(ticks[: i + 1]) for i in range(length)]


def world() -> tuple[World, EventBatch]:
    world = World(Limits(chunk_rows=4, keep_rows=2, contexts=5))
    world.act([("enter", 3, 5), ("enter", 2, 300), ("exit", 0, 1), ("enter", 1, 70_000), ("send", 0, 0)])
    world.act([("enter", 7, 1), ("capture", 1, 0), ("abandon", 1, 0), ("move", 9, 2), ("capture", 2, 0)])
    world.act([("cut", 1, 0), ("exit", 0, 9), ("capture", 0, 0), ("drop", 2, 0)])
    return world, world.batch(0)


@settings(max_examples=600, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 999), st.integers(0, 255), st.sampled_from("=+-")), min_size=1, max_size=4
    )
)
@example([(0, 8, "=")])
def test_damaged_batches(damages: list[tuple[int, int, str]]) -> None:
    """The core takes what protobuf and the twin take, and means the same by it."""
    built, batch = world()
    data = bytearray(batch.SerializeToString())
    for place, byte, how in damages:
        at = place % (len(data) + 1)
        data[at : at if how == "+" else at + 1] = b"" if how == "-" else bytes([byte])
    before = snapshot(built.core)
    try:
        parsed = EventBatch.FromString(bytes(data))
        expected = built.twin.feed(parsed)
    except (DecodeError, Refused):
        with pytest.raises(ProtocolError):
            built.core.feed(bytes(data))
        assert snapshot(built.core) == before
    else:
        assert built.core.feed(bytes(data)) == expected
        built.pending[0].depth = len(built.twin.threads[0].stack)
    built.site_of.clear()
    built.check()


def test_mark_fields_may_come_in_any_order_and_again() -> None:
    twin = Twin(Limits())
    core = Trace()
    for trace in (core, twin):
        trace.declare_thread(0, 0, 0)
    mark = (
        tag(3, 0)
        + b"\x09"
        + tag(1, 0)
        + b"\x01"
        + tag(2, 0)
        + b"\x02"
        + tag(1, 0)
        + b"\x00"
        + tag(2, 0)
        + b"\x04"
    )
    data = SITES + DT + OP + tag(9, 2) + varint(len(mark)) + mark
    assert EventBatch.FromString(data).marks[0] == Mark(index=0, kind=Mark.DROPPED, value=9)
    core.feed(data)
    assert core.thread(0).dropped == 9
    assert core.take_losses().tolist() == [(0, 4, 0, 0, 9)]
    assert len(core.take_losses()) == 0
