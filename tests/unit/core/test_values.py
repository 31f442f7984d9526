"""Captured values: how batches may say them, what they do to chunks, and that nothing of them is trusted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calltrace_collector.core import Chunk, Limits, Trace, decode_values
from calltrace_collector.errors import ProtocolError
from calltrace_collector.wire._pb.calltrace.v1.events_pb2 import EventBatch, Site
from tests.unit.core.comparison import decode, values_of
from tests.unit.core.test_wire import DT, OP, SITES, packed, tag, varint
from tests.unit.core.world import World

VALUES = b"aaaa" + b"bbbbbbb"
SIZES = packed(11, [4, 0, 7])
BYTES = tag(12, 2) + varint(len(VALUES)) + VALUES
SAME = [
    SITES + DT + OP + SIZES + BYTES,
    BYTES + SIZES + SITES + DT + OP,
    SITES + tag(11, 0) + b"\x04" + DT + tag(11, 0) + b"\0" + OP + BYTES + packed(11, [7]),
    SITES + DT + OP + tag(12, 2) + b"\x05other" + SIZES + BYTES,
    SITES + DT + OP + packed(11, [4, 2**32, 2**40 + 7]) + BYTES,
    SITES + DT + OP + tag(11, 1) + bytes(8) + SIZES + BYTES + tag(12, 0) + b"\x09",
    SITES + DT + OP + tag(11, 2) + b"\x05\x84\x80\x00\x00\x07" + BYTES,
]


def fed(data: bytes) -> list[Chunk]:
    core = Trace()
    core.declare_thread(0, 0, 0)
    core.feed(data)
    core.flush()
    return list(core.take_chunks())


@pytest.mark.parametrize("data", SAME)
def test_the_same_said_in_other_words(data: bytes) -> None:
    parsed = EventBatch.FromString(data)
    assert (list(parsed.value_sizes), parsed.values) == ([4, 0, 7], VALUES)
    (chunk,) = fed(data)
    values = values_of(chunk)
    calls = decode(chunk).call
    assert values.arguments(calls) == [b"aaaa", b""]
    assert values.returned(calls) == [b"", b"bbbbbbb"]


@pytest.mark.parametrize("sizes", [b"", packed(11, []), packed(11, [0, 0, 0])])
def test_no_values(sizes: bytes) -> None:
    (chunk,) = fed(SITES + DT + OP + sizes + tag(12, 2) + b"\0")
    assert chunk.values == b""
    values, calls = values_of(chunk), decode(chunk).call
    assert values.arguments(calls) == values.returned(calls) == [b"", b""]


@pytest.mark.parametrize("sizes", [tag(11, 2) + b"\x04\x04\x00\x07\x80", tag(11, 2) + b"\x0b" + b"\xff" * 11])
def test_malformed_sizes(sizes: bytes) -> None:
    with pytest.raises(ProtocolError, match="malformed"):
        fed(SITES + DT + OP + sizes + BYTES)


def captured_calls(core: Trace, calls: int, size: int) -> None:
    """Calls of leaf functions with that many bytes of arguments each."""
    state = core.thread(0)
    batch = EventBatch(
        base_ticks=state.last_ticks,
        ring_begin=state.ring_end,
        ring_end=state.ring_end + 1,
        sites=[] if core.site_count else [Site(function_address=1)],
        dt=[1, 1] * calls,
        op=[1, 0] * calls,
        value_sizes=[size, 0] * calls,
        values=bytes(size * calls),
    )
    core.feed(batch.SerializeToString())


def test_chunks_end_when_they_have_many_values() -> None:
    core = Trace(Limits(chunk_values=10_000))
    core.declare_thread(0, 0, 0)
    captured_calls(core, 50, 995)
    chunks = list(core.take_chunks())
    # A thousand bytes a call; what ends a chunk is an entry, so that its exit is in the next one.
    rows = [(chunk.rows, chunk.late_rows, chunk.open_rows) for chunk in chunks]
    assert rows == [(11, 0, 1), (12, 1, 1), (12, 1, 1), (12, 1, 1)]
    assert all(10_000 <= len(chunk.values) < 11_500 for chunk in chunks)


def test_flush_ends_chunks_that_have_some() -> None:
    core = Trace(Limits(keep_values=5_000))
    core.declare_thread(0, 0, 0)
    captured_calls(core, 4, 1000)
    core.flush()
    assert core.pending_bytes > 4000
    captured_calls(core, 2, 1000)
    core.flush()
    captured_calls(core, 1, 1000)
    core.flush()
    chunks = list(core.take_chunks())
    assert [(chunk.number, chunk.rows, chunk.is_final) for chunk in chunks] == [
        (0, 4, False),
        (0, 6, True),
        (1, 1, False),
    ]
    assert core.pending_bytes == 0


def test_nothing_is_kept_of_calls_that_are_open() -> None:
    """Their values are in the chunk in which they began, wherever they end."""
    world = World(Limits(chunk_rows=20, chunk_values=500))
    for at in range(100):
        world.act([("enter", at % 3, 1), ("capture", at % 10, at)])
    world.check()
    world.act([("restart", 0, 0)])
    for at in range(100):
        world.act([("exit", 0, 1), ("capture", at % 10, at)])
    world.check()
    calls = world.twin.threads[0].calls
    assert all(call.arguments and call.returned for call in calls)
    assert sum(chunk.late_rows for chunk in world.chunks.values()) == 100


# ---- what is not trusted ----


def sample_chunks() -> list[Chunk]:
    world = World(Limits(chunk_rows=20, keep_rows=8))
    for at in range(60):
        kind = "enter" if at % 7 < 4 else "exit"
        world.act([(kind, at % 3, 1), ("capture", at % 6, at)][: 1 + (at % 5 > 0)])
    world.check()
    return list(world.chunks.values())


CHUNKS = sample_chunks()


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(CHUNKS),
    st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 255), st.sampled_from("==+-")), max_size=3),
)
def test_damaged_values(chunk: Chunk, damages: list[tuple[int, int, str]]) -> None:
    data = bytearray(chunk.values)
    for place, byte, how in damages:
        at = place % (len(data) + 1)
        data[at : at if how == "+" else at + 1] = b"" if how == "-" else bytes([byte])
    try:
        values = decode_values(
            bytes(data),
            chunk.columns,
            rows=chunk.rows,
            late_rows=chunk.late_rows,
            first_call=chunk.first_call,
            base_call=chunk.base_call,
        )
    except ProtocolError:
        assert damages
        return
    calls = decode(chunk).call
    pieces = [piece for piece in values.arguments(calls) + values.returned(calls) if piece]
    assert all(piece in bytes(data) for piece in pieces)
    assert sum(map(len, pieces)) <= len(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",  # another format
        b"\x02\x00\x01a",
        b"\x01\x00",
        b"\x01\x00\x02a",
        b"\x01\x00\x81\x20" + bytes(4097),  # too large
        b"\x01\x80",
        b"\x01\x06\x01a",  # of more events than the chunk's rows may have
        b"\x01\x05\x01a\x00\x01b",
    ],
)
def test_refused(data: bytes) -> None:
    (chunk,) = fed(EventBatch(sites=[Site(function_address=1)], dt=[1] * 3, op=[1, 1, 1]).SerializeToString())
    with pytest.raises(ProtocolError, match="values of a chunk of 3 calls: malformed data"):
        decode_values(
            data, chunk.columns, rows=3, late_rows=0, first_call=chunk.first_call, base_call=chunk.base_call
        )
