"""A stream that sends what it should not is refused, with words; everybody else goes on."""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import grpc
import pytest

from calltrace_collector import wire
from tests.support.collector import Collector

CALLS = 15


def send(collector: Collector, messages: Iterable[bytes]) -> grpc.RpcError:
    """Sends raw messages as an agent would; returns how the collector refused them."""
    with grpc.insecure_channel(f"unix:{collector.socket}") as channel:
        trace: Any = channel.stream_stream(f"/{wire.INGEST_SERVICE}/Trace")
        with pytest.raises(grpc.RpcError) as refusal:
            for _ in trace(iter(messages), timeout=60):
                pass
        return refusal.value


def hello(session: int) -> bytes:
    process = wire.Process(session_id=bytes([session]) * 16, pid=4_000_000, start_time_jiffies=1)
    return wire.AgentMessage(process=process).SerializeToString()


def hello_from(directory: str) -> bytes:
    process = wire.Process(
        session_id=bytes([10]) * 16, pid=4_000_000, start_time_jiffies=1, session_directory=directory
    )
    return wire.AgentMessage(process=process).SerializeToString()


def message(sequence: int, **body: object) -> bytes:
    return wire.AgentMessage(sequence=sequence, **body).SerializeToString()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "AgentMessage|first message"),
        ([b"\xff\xff\xff"], "AgentMessage"),
        ([message(1, clock=wire.Clock(ticks=1))], "first message"),
        ([wire.AgentMessage(process=wire.Process(pid=1)).SerializeToString()], "session id"),
        ([hello(1), b"garbage"], "malformed|message"),
        ([hello(2), message(2, clock=wire.Clock(ticks=1))], "message 2 after 0"),
        ([hello(3), message(1, batch=wire.EventBatch(thread=7, dt=[1], op=[0]))], "thread|number"),
        ([hello(4), message(1)], "unknown kind"),
        ([hello(5), message(1, thread=wire.Thread(number=1 << 20))], "more than 1048576 threads"),
        ([hello(9), message(1, module=wire.Module(number=1 << 16))], "more than 65536 modules"),
        ([hello_from("/etc")], "not its own"),
        (
            [
                hello(6),
                message(1, thread=wire.Thread(number=0)),
                message(2, batch=wire.EventBatch(dt=[1], op=[0])),
            ],
            "stack",
        ),
    ],
)
def test_a_stream_is_refused_with_words(collector: Collector, messages: list[bytes], words: str) -> None:
    refusal = send(collector, messages)
    assert refusal.code() == grpc.StatusCode.INVALID_ARGUMENT
    details = refusal.details()
    assert details is not None
    assert "\n" not in details
    assert re.search(words, details), details


def test_a_message_too_large_is_refused(collector: Collector) -> None:
    refusal = send(collector, [hello(7), bytes(8 << 20)])
    assert refusal.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_everybody_else_goes_on(collector: Collector, build: Callable[..., Path]) -> None:
    chance = random.Random(3)
    for _ in range(20):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as attacker:
            attacker.connect(str(collector.socket))
            attacker.sendall(chance.randbytes(chance.randrange(1, 5000)))
        send(collector, [hello(8), chance.randbytes(chance.randrange(1, 300))])
    pid, _ = collector.run(build("lifecycle.c"), "exit", "0")
    assert collector.process(pid)["calls"] == CALLS
