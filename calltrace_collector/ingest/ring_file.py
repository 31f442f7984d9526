"""A ring of a session directory: what a thread recorded last, and was not yet in the outbox.

The layout is agent/record/layout.h's: a page with the thread and two positions, then the words. The file is
read, never mapped: another program of the user may cut it off meanwhile.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, replace

from calltrace_collector.errors import ProtocolError
from calltrace_collector.model.process import ThreadInfo

__all__ = ["RING_LIMIT_BYTES", "RingTail", "read_ring", "read_ring_thread"]

_PAGE_BYTES = 4096
_RING = struct.Struct("<QIIQIIQQQ16sI")
_HEAD_OFFSET = 128
_TAIL_OFFSET = 192
_MAGIC = 0x31474E4952435254
_VERSION = 1
_STATES_IN_USE = (1, 2)
_ENDED = 2
_LIMIT_WORDS = 1 << 24
_DROPPED_LIMIT = (1 << 48) - 1

RING_LIMIT_BYTES = _PAGE_BYTES + 8 * _LIMIT_WORDS
"""No agent makes a larger one."""


@dataclass(frozen=True, slots=True)
class RingTail:
    """What is left in a thread's ring: the words in [tail, head) were not yet in the outbox.

    `words` are all the ring's words; the word at a position lies at position % len(words) * 8.
    """

    thread: int
    tid: int
    name: str
    started_ticks: int
    ended_ticks: int
    stack_base: int
    creator_tid: int
    head: int
    tail: int
    dropped: int
    size_words: int
    words: bytes

    def thread_info(self) -> ThreadInfo:
        """What the ring's header says of its thread."""
        return ThreadInfo(
            number=self.thread,
            tid=self.tid,
            name=self.name,
            started_ticks=self.started_ticks,
            ended_ticks=self.ended_ticks,
            stack_base=self.stack_base,
            creator_tid=self.creator_tid,
        )


def read_ring_thread(fd: int, size: int) -> int | None:
    """Returns the number of the thread that a ring is, or was last, used by; None: none, or it is no ring.

    Args:
        fd: the file, open for reading.
        size: of it in bytes, when it was opened.
    """
    header = os.pread(fd, _RING.size, 0) if size else b""
    if len(header) < _RING.size:
        return None
    magic, version, state, _, thread, *_ = _RING.unpack(header)
    if magic != _MAGIC or version != _VERSION or state not in _STATES_IN_USE:
        return None
    return int(thread)


def read_ring(fd: int, size: int, name: str) -> RingTail:
    """Reads a ring that a thread uses, or used last.

    Args:
        fd: the file, open for reading.
        size: of it in bytes, when it was opened.
        name: of it, for messages.

    Raises:
        ProtocolError: it is damaged.
    """
    page = os.pread(fd, _PAGE_BYTES, 0) if size else b""
    if len(page) < _PAGE_BYTES:
        raise ProtocolError(f"{name} is cut off")
    ring = _ring_tail(name, page)
    words = os.pread(fd, 8 * ring.size_words, _PAGE_BYTES)
    if len(words) < 8 * ring.size_words:
        raise ProtocolError(f"{name} is cut off")
    return replace(ring, words=words)


def _ring_tail(name: str, page: bytes) -> RingTail:
    """Reads what the ring's first page says."""
    _, _, state, size_words, thread, tid, started, ended, stack_base, comm, creator_tid = _RING.unpack_from(
        page
    )
    if not 0 < size_words <= _LIMIT_WORDS or size_words & (size_words - 1):
        raise ProtocolError(f"{name} is damaged")
    head, dropped = struct.unpack_from("<QQ", page, _HEAD_OFFSET)
    (tail,) = struct.unpack_from("<Q", page, _TAIL_OFFSET)
    if not 0 <= head - tail <= size_words:
        raise ProtocolError(f"{name} is damaged")
    return RingTail(
        thread=thread,
        tid=tid,
        name=comm.split(b"\0")[0].decode(errors="replace"),
        started_ticks=started,
        ended_ticks=ended if state == _ENDED else 0,
        stack_base=stack_base,
        creator_tid=creator_tid,
        head=head,
        tail=tail,
        dropped=min(dropped, _DROPPED_LIMIT),
        size_words=size_words,
        words=b"",
    )
