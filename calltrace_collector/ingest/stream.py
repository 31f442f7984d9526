"""One agent's stream, as far as it leads to the agent: acknowledgements and capture plans."""

from __future__ import annotations

import asyncio
from collections import deque

import grpc

from calltrace_collector import wire
from calltrace_collector.ingest.plans import Planner, PlanRequest
from calltrace_collector.ingest.registry import OpenSession
from calltrace_collector.model.process import ModuleInfo

__all__ = ["AgentStream", "Context"]

Context = grpc.aio.ServicerContext[bytes, bytes]


class AgentStream:
    """What an agent is told. Its methods run in the event loop.

    Args:
        opened: the session that the stream feeds.
        context: the stream.
        planner: makes capture plans.

    Attributes:
        opened: the session.
        grew: set when more of the session is stored.
    """

    def __init__(self, opened: OpenSession, context: Context, planner: Planner) -> None:
        self.opened = opened
        self.grew = asyncio.Event()
        self._context = context
        self._planner = planner
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._acknowledged = 0
        self._plans: deque[bytes] = deque()
        self._modules_seen = 0
        self._planned: set[int] = set()
        self._is_closed = False

    async def welcome(self) -> None:
        """Tells the agent where to begin."""
        await self._context.write(_welcome(self.opened.session.received + 1))

    async def tell(self) -> None:
        """Tells the agent what is news, as it comes, until close(): the only one that writes meanwhile."""
        while not self._is_closed:
            committed = self.opened.committed
            if committed > self._acknowledged:
                await self.acknowledge()
            elif self._plans:
                await self._context.write(self._plans.popleft())
            else:
                await self._news.wait()
                self._news.clear()

    async def acknowledge(self) -> None:
        """Tells the agent how far its messages are stored, if that is news."""
        committed = self.opened.committed
        if committed > self._acknowledged:
            self._acknowledged = committed
            await self._context.write(_ack(committed))

    def committed(self) -> None:
        """Says that more of the session is stored."""
        self.grew.set()
        self._news.set()

    def close(self) -> None:
        """Says that the agent is told nothing more but acknowledgements."""
        self._is_closed = True
        self._plans.clear()
        self._news.set()

    # --- capture plans ---

    def ask_plans(self) -> None:
        """Asks for the plans of the modules that it has not asked for yet, if the process captures.

        All of them on every stream: what was sent on the last one may not have arrived.
        """
        session = self.opened.session
        if not session.info.capture or session.modules_seen == self._modules_seen:
            return
        self._modules_seen = session.modules_seen
        for module in session.modules():
            if module.number not in self._planned:
                self._planned.add(module.number)
                self._planner.ask(self._request(module))

    def _request(self, module: ModuleInfo) -> PlanRequest:
        session = self.opened.session
        return PlanRequest(
            process=session.process,
            pid=session.info.pid,
            globs=session.info.capture,
            module=module,
            deliver=self._deliver,
            is_wanted=lambda: not self._is_closed,
        )

    def _deliver(self, messages: list[bytes]) -> None:
        """In a thread of the planner, which ends before the loop does."""
        self._loop.call_soon_threadsafe(self._take, messages)

    def _take(self, messages: list[bytes]) -> None:
        if not self._is_closed:
            self._plans.extend(messages)
            self._news.set()


def _welcome(next_sequence: int) -> bytes:
    return wire.CollectorMessage(welcome=wire.Welcome(next_sequence=next_sequence)).SerializeToString()


def _ack(sequence: int) -> bytes:
    return wire.CollectorMessage(ack=wire.Ack(sequence=sequence)).SerializeToString()
