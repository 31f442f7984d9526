"""What an agent is told: acknowledgements before plans, a plan for each module, and nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from calltrace_collector import wire
from calltrace_collector.ingest.ending import ProcessWatch
from calltrace_collector.ingest.plans import Planner, PlanRequest
from calltrace_collector.ingest.registry import OpenSession
from calltrace_collector.ingest.session import IngestSession
from calltrace_collector.ingest.stream import AgentStream, Context
from calltrace_collector.model.commit import SavedProcess
from calltrace_collector.model.process import ModuleInfo
from tests.unit.ingest.builders import Script, process_info
from tests.unit.ingest.collectors import NOBODYS_PID

PATIENCE_S = 60


class Requests:
    """A planner that only takes note."""

    def __init__(self) -> None:
        self.asked: list[PlanRequest] = []

    def ask(self, request: PlanRequest) -> None:
        self.asked.append(request)

    def modules(self) -> list[int]:
        return [request.module.number for request in self.asked]


class Written:
    """A stream's context: what was written; writes wait while `may_go_on` is clear."""

    def __init__(self) -> None:
        self.messages: list[wire.CollectorMessage] = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.changed = asyncio.Event()
        self._is_writing = False

    async def write(self, message: bytes) -> None:
        assert not self._is_writing, "gRPC takes one message at a time"
        self._is_writing = True
        self.messages.append(wire.CollectorMessage.FromString(message))
        self.changed.set()
        await self.may_go_on.wait()
        self._is_writing = False

    async def bodies(self, count: int) -> list[str | None]:
        """The kinds of the first messages, once there are so many."""
        while len(self.messages) < count:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), PATIENCE_S)
        return [message.WhichOneof("body") for message in self.messages]


class Scene:
    """A stream of a session that captures, told in the background."""

    def __init__(self, capture: str = "*", saved: SavedProcess | None = None) -> None:
        info = replace(process_info(), pid=NOBODYS_PID, capture=capture)
        self.session = IngestSession(info, saved or SavedProcess(process=5, sequence=0, ended=False))
        watch = ProcessWatch(info.pid, info.start_time_jiffies)
        self.opened = OpenSession(self.session, watch, Path("/nowhere"), committed=0)
        self.requests, self.written = Requests(), Written()
        self.stream = AgentStream(self.opened, cast("Context", self.written), cast("Planner", self.requests))
        self.script = Script()


def module(number: int) -> ModuleInfo:
    return ModuleInfo(number, f"/lib/{number}.so", b"", 0)


Told = Callable[[Scene], Coroutine[Any, Any, None]]


def run(told: Told, **arguments: Any) -> None:
    async def play() -> None:
        scene = Scene(**arguments)
        telling = asyncio.create_task(scene.stream.tell())
        await told(scene)
        scene.stream.close()
        scene.written.may_go_on.set()
        await asyncio.wait_for(telling, PATIENCE_S)

    asyncio.run(play())


def test_each_module_is_asked_for_once() -> None:
    async def told(scene: Scene) -> None:
        scene.stream.ask_plans()
        assert scene.requests.modules() == []
        scene.session.receive(scene.script.module(0, 0x10000))
        scene.stream.ask_plans()
        scene.session.receive(scene.script.clock())
        scene.stream.ask_plans()
        scene.session.receive(scene.script.module(1, 0x90000))
        scene.session.receive(scene.script.module(2, 0x190000))
        scene.stream.ask_plans()
        assert scene.requests.modules() == [0, 1, 2]
        request = scene.requests.asked[0]
        assert (request.process, request.globs, request.module.path) == (5, "*", "/lib/0.so")
        scene.session.receive(scene.script.module(1, 0x90000, unloaded_ticks=9))
        scene.stream.ask_plans()
        assert scene.requests.modules() == [0, 1, 2]

    run(told)


def test_a_new_stream_asks_for_all_modules_that_are_still_there() -> None:
    async def told(scene: Scene) -> None:
        scene.stream.ask_plans()
        assert scene.requests.modules() == [0, 3]

    run(told, saved=SavedProcess(process=5, sequence=9, ended=False, modules=(module(0), module(3))))


def test_a_process_that_captures_nothing_has_no_plans() -> None:
    async def told(scene: Scene) -> None:
        scene.session.receive(scene.script.module(0, 0x10000))
        scene.stream.ask_plans()
        assert scene.requests.modules() == []

    run(told, capture="")


def plan(number: int) -> bytes:
    message = wire.CollectorMessage(capture_plan=wire.CapturePlan(module=number))
    return message.SerializeToString()


def test_plans_are_written_in_order_and_acknowledgements_before_them() -> None:
    async def told(scene: Scene) -> None:
        scene.session.receive(scene.script.module(0, 0x10000))
        scene.stream.ask_plans()
        scene.written.may_go_on.clear()
        await asyncio.to_thread(scene.requests.asked[0].deliver, [plan(7), plan(8), plan(9)])
        await scene.written.bodies(1)
        scene.opened.committed = 4
        scene.stream.committed()
        scene.written.may_go_on.set()
        assert await scene.written.bodies(4) == ["capture_plan", "ack", "capture_plan", "capture_plan"]
        first, ack, *rest = scene.written.messages
        assert [one.capture_plan.module for one in (first, *rest)] == [7, 8, 9]
        assert ack.ack.sequence == 4

    run(told)


def test_nothing_more_is_written_when_the_stream_is_to_end() -> None:
    async def told(scene: Scene) -> None:
        scene.session.receive(scene.script.module(0, 0x10000))
        scene.stream.ask_plans()
        (request,) = scene.requests.asked
        assert request.is_wanted()
        scene.written.may_go_on.clear()
        await asyncio.to_thread(request.deliver, [plan(7), plan(8)])
        await scene.written.bodies(1)
        scene.stream.close()
        assert not request.is_wanted()
        await asyncio.to_thread(request.deliver, [plan(9)])
        scene.written.may_go_on.set()
        await asyncio.sleep(0)
        scene.opened.committed = 3
        await scene.stream.acknowledge()
        await scene.stream.acknowledge()
        assert await scene.written.bodies(2) == ["capture_plan", "ack"]

    run(told)


@pytest.mark.parametrize("received", [0, 3])
def test_a_stream_begins_with_what_is_wanted_next(received: int) -> None:
    async def told(scene: Scene) -> None:
        await scene.stream.welcome()
        (message,) = scene.written.messages
        assert message.welcome.next_sequence == received + 1

    run(told, saved=SavedProcess(process=5, sequence=received, ended=False))
