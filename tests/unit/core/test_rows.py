"""Columns are not trusted: whatever they hold, there are consistent rows or an error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calltrace_collector.core import CHUNK_ROWS, Chunk, Limits, Rows, decode_chunk
from calltrace_collector.core.twin import LOST, OPEN
from calltrace_collector.errors import ProtocolError
from tests.unit.core.world import World, decode


def sample_chunks() -> list[Chunk]:
    """Chunks with late rows, open rows, wide values and every status."""
    world = World(Limits(chunk_rows=60, keep_rows=20))
    world.act([("dive", 3, 2**20), ("enter", 1, 70_000), ("cut", 3, 0), ("exit", 0, 3), ("send", 0, 0)])
    world.act([("flush", 0, 0), ("exit", 0, 2**40), ("exit", 0, 0), ("abandon", 1, 0), ("enter", 5, 300)])
    world.act(
        [("dive", 2, 5), ("lose", 2, 0), ("exit", 0, 256), ("rise", 9, 9), ("enter", 3, 1), ("send", 0, 0)]
    )
    world.check()
    return list(world.chunks.values())


CHUNKS = sample_chunks()


def test_the_samples_have_it_all() -> None:
    assert any(chunk.late_rows for chunk in CHUNKS)
    assert any(chunk.open_rows for chunk in CHUNKS)
    assert {status for chunk in CHUNKS for status in decode(chunk).status.tolist()} == {0, 2, 3, 5, 6}


def check_consistent(rows: Rows, base_call: int) -> None:
    calls = rows.call.tolist()
    depth_of = dict(zip(calls, rows.depth.tolist(), strict=True))
    shallowest = int(rows.depth.min())
    assert calls == sorted(set(calls))
    for parent, depth in zip(rows.parent.tolist(), rows.depth.tolist(), strict=True):
        assert depth == shallowest if parent == base_call else depth_of[parent] == depth - 1
    assert np.all(rows.self_ticks <= rows.duration_ticks)
    assert np.all(rows.status <= LOST)
    assert np.all(rows.duration_ticks[rows.status == OPEN] == 0)


@settings(max_examples=800, deadline=None)
@given(
    st.sampled_from(CHUNKS),
    st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 255), st.sampled_from("==+-")), max_size=3),
    st.sampled_from([0, 0, 0, 1, -1, 5]),
    st.sampled_from([0, 0, 0, 1, -1]),
)
def test_damaged_columns(chunk: Chunk, damages: list[tuple[int, int, str]], rows: int, late: int) -> None:
    data = bytearray(chunk.columns)
    for place, byte, how in damages:
        at = place % (len(data) + 1)
        data[at : at if how == "+" else at + 1] = b"" if how == "-" else bytes([byte])
    try:
        decoded = decode_chunk(
            bytes(data),
            rows=chunk.rows + rows,
            late_rows=max(chunk.late_rows + late, 0),
            first_call=chunk.first_call,
            base_call=chunk.base_call,
        )
    except ProtocolError:
        assert damages or rows or late
    else:
        check_consistent(decoded, chunk.base_call)


@pytest.mark.parametrize("chunk", CHUNKS)
def test_every_beginning_is_refused(chunk: Chunk) -> None:
    for size in range(len(chunk.columns)):
        with pytest.raises(ProtocolError, match=f"^chunk of {chunk.rows} calls: malformed data$"):
            decode_chunk(
                chunk.columns[:size],
                rows=chunk.rows,
                late_rows=chunk.late_rows,
                first_call=chunk.first_call,
                base_call=chunk.base_call,
            )


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 0},
        {"rows": CHUNK_ROWS + 1},
        {"rows": 2**32 - 1},
        {"late_rows": 2**32 - 1},
        {"first_call": 0},
        {"first_call": 2**64 - 1},
        {"base_call": 7},
        {"first_call": 7, "base_call": 7},
    ],
)
def test_impossible_chunks_are_refused(change: dict[str, int]) -> None:
    chunk = CHUNKS[0]
    assert chunk.base_call == chunk.late_rows == 0
    say = {"rows": chunk.rows, "late_rows": 0, "first_call": chunk.first_call, "base_call": 0} | change
    with pytest.raises(ProtocolError):
        decode_chunk(chunk.columns, **say)


def test_columns_may_be_any_kind_of_bytes() -> None:
    chunk = CHUNKS[0]
    for columns in (bytearray(chunk.columns), memoryview(chunk.columns)):
        rows = decode_chunk(
            columns, rows=chunk.rows, late_rows=0, first_call=chunk.first_call, base_call=chunk.base_call
        )
        assert rows.call.tolist() == decode(chunk).call.tolist()
