"""A stream as an agent has it, over a real socket: plans and acknowledgements, whatever ends it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from calltrace_collector import wire
from calltrace_collector.ingest.committer import Committer
from calltrace_collector.ingest.crash_analyst import CrashAnalyst
from calltrace_collector.ingest.finisher import Finisher
from calltrace_collector.ingest.left_behind import LeftBehind
from calltrace_collector.ingest.plans import Planner
from calltrace_collector.ingest.registry import Registry
from calltrace_collector.ingest.service import IngestService
from calltrace_collector.ingest.session import IngestSession
from calltrace_collector.ingest.symbolizer import Symbolizer
from calltrace_collector.model.capture import HookPlan, Layout, Plan
from calltrace_collector.model.commit import Commit
from calltrace_collector.symbols.resolver import Resolver
from tests.support.crash_samples import crash_analysis
from tests.unit.ingest.builders import MemorySink, Script, process_message

TRACE = f"/{wire.INGEST_SERVICE}/Trace"
PATIENCE_S = 60
LARGE = Plan((Layout(()),), tuple(HookPlan(16 * n, 8, "f", 0, bytes(1000)) for n in range(1, 6000)))
"""Six megabytes: more than any window."""
PLANS = {"/lib/0.so": Plan((Layout(()),), (HookPlan(16, 8, "f", 0, b"a"),)), "/lib/1.so": LARGE}


class Server:
    """An IngestService with all that belongs to it."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "socket"
        self.sink = MemorySink()
        self.said: list[str] = []
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(4)
        self._committer = Committer(self.sink, self._on_committed, self.said.append)
        analyst = CrashAnalyst(lambda *_: crash_analysis(), self.sink, self.said.append)
        self._planner = Planner(lambda path, *_: PLANS.get(path, Plan()), self.sink, self.said.append)
        self._registry = Registry(self.sink, self._committer, analyst, self.said.append)
        symbolizer = Symbolizer(self.sink, Resolver())
        left_behind = LeftBehind(self._registry, self.socket, (folder,), self.said.append)
        finisher = Finisher(self._registry, left_behind, symbolizer, analyst, self._pool, self.said.append)
        self.service = IngestService(
            self._registry, self._committer, finisher, self._planner, self._pool, self.said.append
        )
        self._parts = (self._planner, self._committer, symbolizer, analyst)

    def _on_committed(self, session: IngestSession, commit: Commit) -> None:
        opened = self._registry.committed(session, commit.sequence)
        if opened is not None:
            self._loop.call_soon_threadsafe(self.service.committed, opened)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((self.service.handler(),))
        server.add_insecure_port(f"unix:{self.socket}")
        await server.start()
        for part in self._parts:
            part.start()
        yield
        await server.stop(0)
        while self.service.open_streams:
            await asyncio.sleep(0.01)
        for part in self._parts:
            await asyncio.to_thread(part.stop)
        self._pool.shutdown()


class Agent:
    """A stream to the server, message by message."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(TRACE)()
        self.acknowledged = 0
        self.plans: list[wire.CapturePlan] = []

    async def write(self, message: bytes) -> None:
        await self._call.write(message)

    async def read(self) -> bool:
        """Takes a message; False: there is none any more."""
        answer = await asyncio.wait_for(self._call.read(), PATIENCE_S)
        if not isinstance(answer, bytes):  # grpc.aio.EOF
            return False
        message = wire.CollectorMessage.FromString(answer)
        if message.WhichOneof("body") == "ack":
            assert message.ack.sequence > self.acknowledged
            self.acknowledged = message.ack.sequence
        elif message.WhichOneof("body") == "capture_plan":
            self.plans.append(message.capture_plan)
        return True

    async def read_until(self, enough: Callable[[], bool]) -> None:
        while not enough():
            assert await self.read()

    def complete(self) -> set[int]:
        return {plan.module for plan in self.plans if plan.complete}

    async def hang_up(self) -> None:
        await self._call.done_writing()

    def cancel(self) -> None:
        self._call.cancel()

    async def status(self) -> grpc.StatusCode:
        status: grpc.StatusCode = await self._call.code()
        return status


Story = Callable[[Server, Callable[[], Agent]], Coroutine[Any, Any, None]]


def play(story: Story, folder: Path) -> Server:
    """Runs a server, and what is to happen to it; returns the server, which has stopped."""

    async def run() -> Server:
        server = Server(folder)
        async with server.running(), grpc.aio.insecure_channel(f"unix:{server.socket}") as channel:
            await story(server, lambda: Agent(channel))
        return server

    return asyncio.run(run())


def first_message() -> bytes:
    """Of a process that lives: else its session would end with the first stream."""
    process = process_message()
    process.pid = os.getpid()
    after_name = Path("/proc/self/stat").read_text().rpartition(")")[2]
    process.start_time_jiffies = int(after_name.split()[19])
    process.capture = "*"
    return wire.AgentMessage(process=process).SerializeToString()


def test_plans_come_whole_and_acknowledgements_with_them(tmp_path: Path) -> None:
    async def story(_: Server, connect: Callable[[], Agent]) -> None:
        agent, script = connect(), Script()
        await agent.write(first_message())
        for number in range(3):
            await agent.write(script.module(number, 0x100000 * (number + 1)))
        await agent.read_until(lambda: agent.complete() == {0, 1, 2} and agent.acknowledged == 3)
        programs = [hook.program for plan in agent.plans if plan.module == 1 for hook in plan.hooks]
        assert programs == [hook.program for hook in LARGE.hooks]
        assert [len(plan.hooks) for plan in agent.plans if plan.module == 2] == [0]
        await agent.write(script.goodbye())
        await agent.hang_up()
        while await agent.read():
            pass
        assert agent.acknowledged == 4
        assert await agent.status() == grpc.StatusCode.OK

    server = play(story, tmp_path)
    assert sorted(module for _, module, _ in server.sink.plans) == [0, 1]


def test_a_process_that_ends_before_its_plans_have_come_is_acknowledged(tmp_path: Path) -> None:
    async def story(_: Server, connect: Callable[[], Agent]) -> None:
        agent, script = connect(), Script()
        await agent.write(first_message())
        await agent.write(script.module(1, 0x100000))
        await agent.read_until(lambda: bool(agent.plans))  # and the rest fills the window
        await agent.write(script.goodbye())
        await agent.hang_up()
        while await agent.read():
            pass
        assert agent.acknowledged == 2
        assert await agent.status() == grpc.StatusCode.OK

    play(story, tmp_path)


def test_an_agent_that_comes_again_gets_all_plans_again(tmp_path: Path) -> None:
    async def story(_: Server, connect: Callable[[], Agent]) -> None:
        agent, script = connect(), Script()
        await agent.write(first_message())
        await agent.write(script.module(0, 0x100000))
        await agent.write(script.module(1, 0x900000))
        await agent.read_until(lambda: 0 in agent.complete() and len(agent.plans) > 3)
        agent.cancel()
        again = connect()
        await again.write(first_message())
        await again.read_until(lambda: again.complete() == {0, 1})
        again.cancel()

    play(story, tmp_path)


@pytest.mark.parametrize("reads", [True, False])
def test_a_collector_that_ends_does_not_wait_for_plans_to_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: bool
) -> None:
    monkeypatch.setattr("calltrace_collector.ingest.service.LAST_WRITE_S", 0.1 if not reads else 60)

    async def story(server: Server, connect: Callable[[], Agent]) -> None:
        agent, script = connect(), Script()
        await agent.write(first_message())
        await agent.write(script.module(1, 0x100000))
        await agent.read_until(lambda: bool(agent.plans))
        server.service.drain()
        while reads and await agent.read():
            pass
        while server.service.open_streams:
            await asyncio.sleep(0.01)
        assert not reads or agent.acknowledged == 1

    play(story, tmp_path)
