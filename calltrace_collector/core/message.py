"""The envelope of what an agent sends, read without parsing what is inside."""

from __future__ import annotations

from dataclasses import dataclass

from calltrace_collector.core.native import Bytes, check, ffi, lib

__all__ = ["Message", "peek"]


@dataclass(frozen=True, slots=True)
class Message:
    """Where the parts of an encoded AgentMessage are.

    Attributes:
        sequence: its number in the stream.
        field: field number of the body in AgentMessage; 0 when there is none.
        body: the body's bytes, a view into the message.
    """

    sequence: int
    field: int
    body: memoryview


def peek(message: Bytes) -> Message:
    """Finds sequence number and body of an encoded AgentMessage.

    Raises:
        ProtocolError: the message is malformed.
    """
    found = ffi.new("struct ct_message *")
    view = memoryview(message).cast("B")
    check(lib.ct_message_peek(ffi.from_buffer(view), len(view), found), f"message of {len(view)} bytes")
    body = view[found.body_offset : found.body_offset + found.body_size]
    return Message(sequence=found.sequence, field=found.body_field, body=body)
