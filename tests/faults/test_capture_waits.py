"""A program that is to capture waits for the collector to say what, but never for one that will not say."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from calltrace_collector import wire
from tests.support.collector import PATIENCE_S, Collector
from tests.support.fake_collector import FakeCollector, serving, welcome

FOR_EVER = "86400"
CALLS = "20"
TOO_LATE = (
    "calltrace: the collector has not said in time what to capture: the first calls have no values; "
    "'calltrace record --args' asks before, CALLTRACE_CAPTURE_WAIT gives more seconds\n"
)


class Talking(FakeCollector):
    """A server that welcomes a stream, acknowledges what comes, and answers each module as it is told to."""

    def __init__(self, answer: Callable[[wire.Module, grpc.ServicerContext], list[bytes]]) -> None:
        self.answer = answer
        self.capture: list[str] = []
        self.modules: list[str] = []
        self.heard_of_a_module = threading.Event()

    def trace(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        self.capture.append(wire.AgentMessage.FromString(next(messages)).process.capture)
        yield welcome()
        for message in messages:
            body = wire.AgentMessage.FromString(message)
            if body.HasField("module"):
                self.modules.append(body.module.path)
                self.heard_of_a_module.set()
                yield from self.answer(body.module, context)
            yield wire.CollectorMessage(ack=wire.Ack(sequence=body.sequence)).SerializeToString()


def plan(module: wire.Module, **fields: Any) -> bytes:
    return wire.CollectorMessage(
        capture_plan=wire.CapturePlan(module=module.number, **fields)
    ).SerializeToString()


def nothing(_module: wire.Module, _context: grpc.ServicerContext) -> list[bytes]:
    return []


def nothing_to_capture(module: wire.Module, _context: grpc.ServicerContext) -> list[bytes]:
    return [plan(module, complete=True)]


def no_plan(module: wire.Module, _context: grpc.ServicerContext) -> list[bytes]:
    """Of a hook that returns nowhere."""
    return [plan(module, hooks=[wire.HookPlan(function_offset=1)])]


def plan_of_no_module(_module: wire.Module, _context: grpc.ServicerContext) -> list[bytes]:
    return [wire.CollectorMessage(capture_plan=wire.CapturePlan(module=1 << 31)).SerializeToString()]


def refuse(_module: wire.Module, context: grpc.ServicerContext) -> list[bytes]:
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "enough")


@pytest.fixture(scope="module")
def program(build: Callable[..., Path]) -> Path:
    return build("values.c", "-O0", "-finstrument-functions", "-pthread")


@contextmanager
def traced(
    collector: Collector, program: Path, handler: Talking, wait: str, *arguments: str
) -> Iterator[tuple[grpc.Server, subprocess.Popen[str]]]:
    socket = collector.folder / "talking.sock"
    with serving(handler, socket) as server:
        process = collector.spawn(
            program,
            *arguments,
            CALLTRACE_SOCKET=str(socket),
            CALLTRACE_CAPTURE_ARGS="mix,other*",
            CALLTRACE_CAPTURE_WAIT=wait,
        )
        try:
            yield server, process
        finally:
            process.kill()
            process.communicate()


def run(
    collector: Collector, program: Path, handler: Talking, wait: str, *arguments: str
) -> tuple[int, str, str]:
    """Returns the exit status and what was said, of the program and of the agent."""
    with traced(collector, program, handler, wait, *(arguments or ("count", CALLS))) as (_server, process):
        output, errors = process.communicate(timeout=PATIENCE_S)
        return process.returncode, output, errors


def test_the_collector_is_told_what_to_capture(collector: Collector, program: Path) -> None:
    handler = Talking(nothing_to_capture)
    assert run(collector, program, handler, FOR_EVER) == (0, "", "")
    assert handler.capture == ["mix,other*"]
    assert str(program) in handler.modules


def test_a_silent_collector_is_waited_for_so_long_and_no_longer(collector: Collector, program: Path) -> None:
    assert run(collector, program, Talking(nothing), "1") == (0, "", TOO_LATE)


def test_threads_say_it_once(collector: Collector, program: Path) -> None:
    assert run(collector, program, Talking(nothing), "1", "threads", "8", CALLS) == (0, "", TOO_LATE)


def test_a_child_waits_for_itself(collector: Collector, program: Path) -> None:
    handler = Talking(nothing)
    status, output, errors = run(collector, program, handler, "1", "fork", CALLS)
    assert (status, errors, len(handler.capture)) == (0, TOO_LATE * 2, 2)
    assert int(output) > 0


def test_waiting_may_be_left_out(collector: Collector, program: Path) -> None:
    assert run(collector, program, Talking(nothing), "0") == (0, "", "")


@pytest.mark.parametrize("answer", [no_plan, plan_of_no_module])
def test_a_stream_that_makes_no_sense_is_not_waited_for(
    collector: Collector, program: Path, answer: Callable[..., list[bytes]]
) -> None:
    assert run(collector, program, Talking(answer), FOR_EVER) == (0, "", "")


def test_a_collector_that_refuses_is_not_waited_for(collector: Collector, program: Path) -> None:
    status, _output, errors = run(collector, program, Talking(refuse), FOR_EVER)
    assert (status, errors.count("\n")) == (0, 1)
    assert "the collector refused the trace: enough" in errors


def test_a_collector_that_goes_is_not_waited_for(collector: Collector, program: Path) -> None:
    handler = Talking(nothing)
    with traced(collector, program, handler, FOR_EVER, "count", CALLS) as (server, process):
        assert handler.heard_of_a_module.wait(PATIENCE_S)
        server.stop(None).wait()
        _output, errors = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signals_are_not_held_back_meanwhile(
    collector: Collector, program: Path, number: signal.Signals
) -> None:
    handler = Talking(nothing)
    with traced(collector, program, handler, FOR_EVER, "count", CALLS) as (_server, process):
        assert handler.heard_of_a_module.wait(PATIENCE_S)
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == -number
