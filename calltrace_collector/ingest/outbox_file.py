"""The outbox of a session directory: the messages that the collector had not acknowledged.

The layout is agent/record/layout.h's: segments, each a header with its first and last message and the offset
where its last whole message ends, then the messages, each with its size, checksum and number. The file is
read, never mapped: another program of the user may cut it off meanwhile.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

from calltrace_collector.core.recovery import crc32c
from calltrace_collector.errors import ProtocolError

__all__ = ["OUTBOX_LIMIT_BYTES", "read_messages"]

OUTBOX_LIMIT_BYTES = 4 << 30
"""No agent makes a larger one."""

_SEGMENT = struct.Struct("<QQQQ")
_SEGMENT_HEADER_BYTES = 64
_SEGMENT_BYTES = 4 << 20
_SEGMENT_MAGIC = 0x3147455354554F42
_FRAME = struct.Struct("<IIQ")


def read_messages(fd: int, size: int, after: int) -> Iterator[tuple[int, bytes]]:
    """Yields (sequence number, AgentMessage) of all whole messages after a sequence number, in order.

    Args:
        fd: the outbox, open for reading.
        size: of the file in bytes, when it was opened.
        after: the sequence number.

    Raises:
        ProtocolError: it is damaged; what came before is not.
    """
    segments = []
    for base in range(0, size - _SEGMENT_BYTES + 1, _SEGMENT_BYTES):
        header = os.pread(fd, _SEGMENT.size, base)
        if len(header) < _SEGMENT.size:
            break  # cut off meanwhile
        magic, first, last, end = _SEGMENT.unpack(header)
        if magic == _SEGMENT_MAGIC and first != 0 and last > after:
            segments.append((first, base, end))
    for _, base, end in sorted(segments):
        if not _SEGMENT_HEADER_BYTES <= end <= _SEGMENT_BYTES:
            raise ProtocolError("the outbox is damaged")
        yield from _frames(os.pread(fd, end, base), after)


def _frames(segment: bytes, after: int) -> Iterator[tuple[int, bytes]]:
    at, end = _SEGMENT_HEADER_BYTES, len(segment)
    while at < end:
        if end - at < _FRAME.size:
            raise ProtocolError("the outbox is damaged")
        size, crc, sequence = _FRAME.unpack_from(segment, at)
        begin = at + _FRAME.size
        if size > end - begin:
            raise ProtocolError("the outbox is damaged")
        if sequence > after:
            message = segment[begin : begin + size]
            if crc32c(sequence.to_bytes(8, "little") + message) != crc:
                raise ProtocolError(f"message {sequence} of the outbox is damaged")
            yield sequence, message
        at = begin + (size + 7) // 8 * 8
