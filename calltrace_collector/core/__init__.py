"""The compiled core: batches of events in; calls as columns, open calls and profiles out.

`Trace` is what one traced process has told; `decode_chunk`, `decode_profile` and `peek` read what it wrote
and what arrives. `twin` does the same in Python, for the tests.
"""

from calltrace_collector.core.chunk import Chunk
from calltrace_collector.core.message import Message, peek
from calltrace_collector.core.profile import Profile, decode_profile
from calltrace_collector.core.records import CONTEXT, FRAME, FUNCTION, LOSS, SITE, STACK
from calltrace_collector.core.rows import CHUNK_ROWS, Rows, decode_chunk
from calltrace_collector.core.trace import Limits, ThreadState, Trace
from calltrace_collector.core.values import Values, decode_values

__all__ = [
    "CHUNK_ROWS",
    "CONTEXT",
    "FRAME",
    "FUNCTION",
    "LOSS",
    "SITE",
    "STACK",
    "Chunk",
    "Limits",
    "Message",
    "Profile",
    "Rows",
    "ThreadState",
    "Trace",
    "Values",
    "decode_chunk",
    "decode_profile",
    "decode_values",
    "peek",
]
