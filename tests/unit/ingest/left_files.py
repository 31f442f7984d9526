"""The files of a session directory, made by hand as agent/record/layout.h says."""

from __future__ import annotations

import struct

from calltrace_collector.core.recovery import crc32c

SEGMENT_BYTES = 4 << 20
RING_WORDS = 8


def session_file(process: bytes = b"process", state: int = 0) -> bytes:
    header = struct.pack(
        "<QII16sQQIIQQQ112s",
        0x3153534543415254,
        1,
        1234,
        bytes(range(16)),
        99,
        len(process),
        state,
        7,
        11,
        12,
        13,
        b"/run/c.sock",
    )
    return header.ljust(4096, b"\0") + process


def frame(sequence: int, message: bytes) -> bytes:
    crc = crc32c(sequence.to_bytes(8, "little") + message)
    data = struct.pack("<IIQ", len(message), crc, sequence) + message
    return data + bytes(-len(data) % 8)


def segment(first: int, messages: list[bytes]) -> bytes:
    frames = b"".join(frame(first + i, message) for i, message in enumerate(messages))
    last = first + len(messages) - 1
    header = struct.pack("<QQQQ", 0x3147455354554F42, first, last, 64 + len(frames)).ljust(64, b"\0")
    return (header + frames).ljust(SEGMENT_BYTES, b"\0")


def ring(thread: int, head: int, tail: int, state: int = 1) -> bytes:
    header = struct.pack(
        "<QIIQIIQQQ16s", 0x31474E4952435254, 1, state, RING_WORDS, thread, 77, 5, 6, 4096, b"name"
    )
    header = header.ljust(128, b"\0") + struct.pack("<Q", head)
    header = header.ljust(192, b"\0") + struct.pack("<Q", tail)
    return header.ljust(4096, b"\0") + struct.pack(f"<{RING_WORDS}Q", *range(RING_WORDS))
