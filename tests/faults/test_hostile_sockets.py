"""Connections that do what no agent does: everybody else goes on, and the collector ends when told to."""

from __future__ import annotations

import random
import resource
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import pytest

from calltrace_collector import wire
from tests.support.collector import Collector, wait_until
from tests.support.tally import Tallied

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
CONNECTIONS = 1500


def connect(collector: Collector, stack: ExitStack) -> socket.socket:
    """A connection to the collector, for as long as the stack is there."""
    attacker = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    attacker.settimeout(60)
    attacker.connect(str(collector.socket))
    return attacker


def send_garbage(collector: Collector, stack: ExitStack, chance: random.Random) -> None:
    connect(collector, stack).sendall(chance.randbytes(chance.randrange(1, 5000)))


def send_garbage_after_the_preface(collector: Collector, stack: ExitStack, chance: random.Random) -> None:
    attacker = connect(collector, stack)
    attacker.sendall(PREFACE)
    for _ in range(chance.randrange(1, 20)):
        payload = chance.randbytes(chance.randrange(200))
        kind, flags, stream = chance.randrange(12), chance.randrange(256), chance.randrange(5)
        header = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
        try:
            attacker.sendall(header + payload)
        except OSError:
            return  # it has hung up


def say_nothing(collector: Collector, stack: ExitStack, _chance: random.Random) -> None:
    connect(collector, stack)


def stop_in_the_middle(collector: Collector, stack: ExitStack, chance: random.Random) -> None:
    connect(collector, stack).sendall(PREFACE[: chance.randrange(1, len(PREFACE))])


ATTACKS = [send_garbage, send_garbage_after_the_preface, say_nothing, stop_in_the_middle]


def test_everybody_else_goes_on(
    tally: Path, tmp_path: Path, chance: random.Random, amount: Callable[[int, int], int]
) -> None:
    with Collector() as collector, ExitStack() as stack:
        program = Tallied(collector, tally, tmp_path / "tally", 0, 2, "stop")
        program.wait_for(1)
        for _ in range(amount(60, 1000)):
            chance.choice(ATTACKS)(collector, stack, chance)
        program.wait_for(program.calls() + 100_000)
        program.process.terminate()
        assert (program.wait(), program.errors) == (0, "")
        program.wait_for_end()
        program.check_complete()
        assert collector.log() == "", "what they sent does not reach the terminal"


def test_many_connections_leave_room_for_others(tally: Path, tmp_path: Path) -> None:
    """More of them than a process may usually have descriptors: that limit is raised as far as may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            collector = stack.enter_context(Collector())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(CONNECTIONS):
            connect(collector, stack)
        program = Tallied(collector, tally, tmp_path / "tally", 20_000, 2)
        assert (program.wait(), program.errors) == (0, "")
        program.wait_for_end()
        program.check_complete()


@pytest.mark.parametrize("silence", ["from the start", "after hello"])
def test_a_collector_ends_though_a_stream_is_silent(silence: str) -> None:
    process = wire.Process(session_id=bytes(16), pid=4_000_000, start_time_jiffies=1)
    hello = wire.AgentMessage(process=process).SerializeToString()
    with Collector() as collector, grpc.insecure_channel(f"unix:{collector.socket}") as channel:
        trace: Any = channel.stream_stream(f"/{wire.INGEST_SERVICE}/Trace")
        messages: SimpleQueue[bytes | None] = SimpleQueue()
        answers = trace(iter(messages.get, None))
        if silence == "after hello":
            messages.put(hello)
            assert next(answers)
        assert collector.stop() == 0
        messages.put(None)
        collector.start()


def test_a_collector_ends_though_somebody_waits_for_the_end_of_a_process_that_lives(
    tally: Path, tmp_path: Path
) -> None:
    with Collector() as collector, grpc.insecure_channel(f"unix:{collector.socket}") as channel:
        program = Tallied(collector, tally, tmp_path / "tally", 0, 1, "stop")
        program.wait_for(1)
        wait_until(lambda: collector.ask("ps").stdout.count(str(program.pid)), "the program to be known")
        fields = Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()
        request = wire.FinishRequest(pid=program.pid, start_time_jiffies=int(fields[19]))
        finish: Any = channel.unary_unary(
            f"/{wire.INGEST_SERVICE}/Finish", request_serializer=wire.FinishRequest.SerializeToString
        )
        waiting = finish.future(request)
        for nonsense in (0x7F, (1 << 32) - 1):
            with pytest.raises(grpc.RpcError) as refusal:
                finish(wire.FinishRequest(pid=1, wait_status=nonsense), timeout=60)
            assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert not waiting.done()
        assert collector.stop() == 0
        assert waiting.exception().code() == grpc.StatusCode.UNAVAILABLE
        collector.start()
        program.process.terminate()
        assert (program.wait(), program.errors) == (0, "")
        program.wait_for_end()
        program.check_complete()
