"""Rings, whole, damaged and cut off."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from calltrace_collector.errors import ProtocolError
from calltrace_collector.ingest.ring_file import RingTail, read_ring, read_ring_thread
from calltrace_collector.model.process import ThreadInfo
from tests.unit.ingest.left_files import RING_WORDS, ring


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ring.0"


def read(path: Path) -> RingTail:
    with path.open("rb") as file:
        return read_ring(file.fileno(), path.stat().st_size, path.name)


def thread_of(path: Path) -> int | None:
    with path.open("rb") as file:
        return read_ring_thread(file.fileno(), path.stat().st_size)


@pytest.mark.parametrize(("state", "ended_ticks"), [(1, 0), (2, 6)])
def test_a_ring_is_read(file: Path, state: int, ended_ticks: int) -> None:
    file.write_bytes(ring(thread=3, head=12, tail=8, state=state))
    found = read(file)
    assert (found.head, found.tail, found.size_words) == (12, 8, RING_WORDS)
    assert found.words == struct.pack(f"<{RING_WORDS}Q", *range(RING_WORDS))
    assert found.thread_info() == ThreadInfo(3, 77, "name", 5, ended_ticks, 4096)
    assert thread_of(file) == 3


@pytest.mark.parametrize(("head", "tail"), [(100, 0), (0, 1)])
def test_a_ring_with_more_than_it_can_hold_is_refused(file: Path, head: int, tail: int) -> None:
    file.write_bytes(ring(thread=0, head=head, tail=tail))
    with pytest.raises(ProtocolError, match=r"ring\.0 is damaged"):
        read(file)


@pytest.mark.parametrize("size", [0, 7, 1 << 63])
def test_a_ring_of_a_size_that_none_has_is_refused(file: Path, size: int) -> None:
    content = bytearray(ring(thread=0, head=0, tail=0))
    content[16:24] = size.to_bytes(8, "little")
    file.write_bytes(content)
    with pytest.raises(ProtocolError, match=r"ring\.0 is damaged"):
        read(file)


@pytest.mark.parametrize("size", [0, 100, 4095, 4096, 4096 + 8 * RING_WORDS - 1])
def test_a_ring_that_is_cut_off_is_refused(file: Path, size: int) -> None:
    file.write_bytes(ring(thread=0, head=0, tail=0)[:size])
    with pytest.raises(ProtocolError, match=r"ring\.0 is cut off"):
        read(file)


@pytest.mark.parametrize(
    "content",
    [b"", bytes(4096), ring(0, 4, 0, state=0), ring(0, 4, 0)[:75]],
    ids=["empty", "zeros", "free", "cut off"],
)
def test_what_nobody_uses_is_no_threads(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert thread_of(file) is None
