"""Columns are not trusted: whatever they hold, there are consistent rows or an error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calltrace_collector.core import CHUNK_ROWS, Chunk, Limits, Rows, decode_chunk
from calltrace_collector.core.twin import LOST, OPEN
from calltrace_collector.errors import ProtocolError
from tests.unit.core.comparison import decode, table
from tests.unit.core.world import World


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


# A late row that has ended, four calls entered, of which one is open.
PARTS = {
    "format": [1],
    "depth": [7],
    "start": [100],
    "ended": [4],
    "leads": [1, 5, 6, 7, 8, 0],  # one plane; nothing wide
    "tails": [2, 9, 1, 2, 4, 0, 1, 0, 0, 1, 2, 0x80, 0x04],  # two planes; the third is 0x200 << 16 larger
    "pops": [0, 2, 0, 1, 0],  # nothing wide
    "statuses": [1, 1, 2],  # the second to end was abandoned
    "late": [30, 60, 11, 8],  # call, ticks before the start, self ticks, site
    # Three callers: outside calls site 4, site 4 calls sites 3 and 5, site 8 calls site 3.
    "graph": [3, 0, 1, 8, 5, 2, 1, 4, 4, 1, 3],
    "ranks": [0, 0, 0, 1, 0],  # of the callees; nothing wide
}
LARGEST = [0xFF] * 9 + [1]


def decode_parts(**changed: list[int]) -> Rows:
    columns = bytes(byte for part in (PARTS | changed).values() for byte in part)
    return decode_chunk(columns, rows=5, late_rows=1, first_call=51, base_call=20)


def test_the_format() -> None:
    wide = 0x200 << 16
    assert table(decode_parts()) == [
        (30, 20, 8, 7, 40, 65 + 9 + 257, 11, 2),
        (51, 30, 3, 8, 105, 9, 9, 0),
        (52, 20, 4, 7, 377, 0, 0, 3),
        (53, 52, 3, 8, 384, 2 + wide, 2 + wide, 0),
        (54, 52, 5, 8, 394 + wide, 4, 4, 0),
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"format": [2]},
        {"format": [0]},
        {"depth": [0]},  # there is a base call
        {"depth": [0xFF, 0xFF, 0xFF, 0xFF, 0x0F]},
        {"start": LARGEST, "late": [30, *LARGEST, 11, 8]},  # the clock overflows
        {"ended": [1], "tails": [1, 9, 0], "statuses": [0]},
        {"ended": [6], "tails": [1, 9, 1, 2, 3, 4, 5, 0]},
        {"leads": [3, 5, 6, 7, 8, *[0] * 8, 0]},
        {"leads": [1, 5, 6, 7, 8, 5]},
        {"leads": [1, 5, 6, 7, 8, 1, 4, 1]},
        {"leads": [1, 5, 6, 7, 8, 1, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40]},  # 49 bits
        {"leads": [1, 5, 6, 7, 8, 3, 2, 1, 0, 1, 0, 1]},
        {"pops": [1, 2, 0, 0, 0]},
        {"pops": [0, 3, 0, 0, 0]},
        {"pops": [0, 2, 0, 1, 1, 1, 0xFE, 0xFF, 0xFF, 0xFF, 0x0F]},  # 2^32 pops
        {"pops": [0, 2, 0, 1, 1, 1, *LARGEST]},
        {"statuses": [1, 1, 3]},  # open calls have not ended
        {"statuses": [1, 1, 7]},
        {"statuses": [1, 4, 2]},
        {"statuses": [2, 3, 2, 0, 2]},
        {"late": [0, 60, 11, 8]},
        {"late": [20, 60, 11, 8]},  # the base call's
        {"late": [51, 60, 11, 8]},  # entered in this chunk
        {"late": [30, 101, 11, 8]},  # before the clock began
        {"late": [30, 60, 0xCC, 0x02, 8]},  # more of its own than all of it
        {"late": [30, 60, 11, 0x80, 0x80, 0x80, 0x80, 0x10]},  # 2^32
        {"graph": [5, 0, 1, 8, 5, 1, 1, 4, 1, 0, 1, 1, 0, 1, 1, 0]},  # more callers than calls
        {"graph": [4, 0, 1, 8, 5, 2, 1, 4, 4, 1, 3, 0, 0]},  # a caller twice
        {"graph": [3, 0, 1, 8, 5, 2, 1, 4, 4, 2, 3, 2]},  # more callees than calls
        {"graph": [3, 0, 1, 8, 5, 2, 9, 4, 4, 1, 3]},  # site -1
        {"graph": [3, 0, 1, 8, 5, 2, 1, 4, 4, 1, 0xF4, 0xFF, 0xFF, 0xFF, 0x1F]},  # site 2^32 - 1
        {"graph": [3, 0, 1, 8, 5, 2, 1, 4, 4, 1, *LARGEST]},
        {"graph": [3, 0, 1, 8, 5, 2, 1, 4, 0xFB, 0xFF, 0xFF, 0xFF, 0x0F, 1, 3]},  # caller 2^32
        {"graph": [2, 0, 1, 8, 5, 2, 1, 4]},  # site 8 calls nobody
        {"graph": [2, 5, 2, 6, 4, 4, 1, 3]},  # outside calls nobody
        {"graph": [0]},
        {"ranks": [1, 0, 0, 1, 0]},
        {"ranks": [0, 0, 0, 2, 0]},
        {"ranks": [0, 0, 0, 1, 1, 3, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]},
        {"ranks": [0, 0, 0, 1, 0, 0]},
    ],
)
def test_malformed_columns(changed: dict[str, list[int]]) -> None:
    with pytest.raises(ProtocolError, match=r"^chunk of 5 calls: malformed data$"):
        decode_parts(**changed)


def test_a_late_row_must_have_ended() -> None:
    def decode_late(ended: int) -> Rows:
        columns = bytes([1, 7, 100, ended, *[0] * 6, 30, 60, 0, 8, 0, 0])
        return decode_chunk(columns, rows=1, late_rows=1, first_call=0, base_call=20)

    assert table(decode_late(1)) == [(30, 20, 8, 7, 40, 60, 0, 0)]
    with pytest.raises(ProtocolError):
        decode_late(0)
