"""The envelope of an AgentMessage, found without parsing it."""

import pytest

from calltrace_collector.core import peek
from calltrace_collector.errors import ProtocolError
from calltrace_collector.wire._pb.calltrace.v1.events_pb2 import EventBatch
from calltrace_collector.wire._pb.calltrace.v1.ingest_service_pb2 import AgentMessage

BATCH = EventBatch(thread=3, dt=[1, 2], op=[1, 0])
FIELDS = AgentMessage.DESCRIPTOR.oneofs_by_name["body"].fields


@pytest.mark.parametrize("field", [(field.name, field.number) for field in FIELDS])
def test_every_body_is_found(field: tuple[str, int]) -> None:
    name, number = field
    message = AgentMessage(sequence=2**63)
    getattr(message, name).SetInParent()
    found = peek(message.SerializeToString())
    assert (found.sequence, found.field, bytes(found.body)) == (2**63, number, b"")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_body_is_a_view_of_the_message(kind: type[bytes | bytearray | memoryview]) -> None:
    message = kind(AgentMessage(sequence=9, batch=BATCH).SerializeToString())
    found = peek(message)
    assert EventBatch.FromString(bytes(found.body)) == BATCH
    assert found.body.obj is (message.obj if isinstance(message, memoryview) else message)


def test_order_and_unknown_fields_do_not_matter() -> None:
    body = AgentMessage(batch=BATCH).SerializeToString()
    found = peek(b"\xa2\x06\x03abc" + body + b"\x08\x07\x08\x05" + b"\xa8\x06\x01")
    assert (found.sequence, found.field, bytes(found.body)) == (5, 5, BATCH.SerializeToString())


@pytest.mark.parametrize("message", [b"", AgentMessage(sequence=3).SerializeToString(), b"\x2a\x00"])
def test_nothing_in_it(message: bytes) -> None:
    expected = AgentMessage.FromString(message)
    found = peek(message)
    assert found.sequence == expected.sequence
    assert found.field == (5 if expected.HasField("batch") else 0)
    assert len(found.body) == 0


@pytest.mark.parametrize(
    "message",
    [b"\x08", b"\x2a\x05abc", b"\x0b", b"\xff" * 20, AgentMessage(batch=BATCH).SerializeToString() * 2],
)
def test_malformed(message: bytes) -> None:
    with pytest.raises(ProtocolError, match=f"^message of {len(message)} bytes: malformed data$"):
        peek(message)
