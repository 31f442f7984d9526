"""Outboxes, whole, damaged and cut off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from calltrace_collector.errors import ProtocolError
from calltrace_collector.ingest.outbox_file import read_messages
from tests.unit.ingest.left_files import SEGMENT_BYTES, segment


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


def read(outbox: Path, after: int = 0) -> Iterator[tuple[int, bytes]]:
    with outbox.open("rb") as file:
        yield from read_messages(file.fileno(), outbox.stat().st_size, after)


def test_messages_come_in_order_from_wherever_their_segments_lie(outbox: Path) -> None:
    later, earlier = segment(4, [b"d", b"e" * 1000]), segment(1, [b"a", b"", b"c"])
    outbox.write_bytes(later + bytes(SEGMENT_BYTES) + earlier)
    assert list(read(outbox)) == [(1, b"a"), (2, b""), (3, b"c"), (4, b"d"), (5, b"e" * 1000)]
    assert [sequence for sequence, _ in read(outbox, after=2)] == [3, 4, 5]


def test_a_damaged_message_is_not_believed(outbox: Path) -> None:
    content = bytearray(segment(1, [b"first", b"second"]))
    content[content.index(b"second")] ^= 1
    outbox.write_bytes(content)
    messages = read(outbox)
    assert next(messages) == (1, b"first")
    with pytest.raises(ProtocolError, match="message 2"):
        next(messages)


@pytest.mark.parametrize("end", [0, 63, SEGMENT_BYTES + 1, (1 << 64) - 1])
def test_a_segment_that_ends_elsewhere_is_refused(outbox: Path, end: int) -> None:
    content = bytearray(segment(1, [b"first"]))
    content[24:32] = end.to_bytes(8, "little")
    outbox.write_bytes(content)
    with pytest.raises(ProtocolError, match="the outbox is damaged"):
        list(read(outbox))


def test_an_outbox_that_is_cut_off_while_it_is_read_is_refused(outbox: Path) -> None:
    messages = [bytes([i]) * 100_000 for i in range(60)]
    outbox.write_bytes(segment(1, messages[:30]) + segment(31, messages[30:]))
    reading = read(outbox)
    assert next(reading) == (1, messages[0])
    os.truncate(outbox, SEGMENT_BYTES + 50_000)
    with pytest.raises(ProtocolError, match="damaged"):
        list(reading)
