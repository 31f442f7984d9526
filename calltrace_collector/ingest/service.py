"""The gRPC service that agents stream to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import grpc

from calltrace_collector import wire
from calltrace_collector.errors import ProtocolError, StoreError, UnreachableError
from calltrace_collector.ingest.committer import COMMIT_BYTES, Committer
from calltrace_collector.ingest.finisher import Finisher
from calltrace_collector.ingest.messages import read_message, read_process
from calltrace_collector.ingest.plans import Planner
from calltrace_collector.ingest.registry import OpenSession, Registry
from calltrace_collector.ingest.stream import AgentStream, Context
from calltrace_collector.model.process import ProcessInfo

__all__ = ["IngestService"]

PENDING_LIMIT_BYTES = 24 << 20
"""With so much waiting for a commit a stream is not read on."""
LAST_WRITE_S = 2.0
"""How long a message may take that is being written when a stream ends: agents read all the time."""

_Argument = TypeVar("_Argument")
_Result = TypeVar("_Result")


class IngestService:
    """Takes agents' streams; its methods run in the event loop.

    Args:
        registry: opens sessions.
        committer: is told what sessions have taken.
        finisher: answers Finish.
        planner: makes capture plans.
        workers: threads that decode, so that the event loop goes on meanwhile.
        on_message: called with one line for the user.
    """

    def __init__(
        self,
        registry: Registry,
        committer: Committer,
        finisher: Finisher,
        planner: Planner,
        workers: ThreadPoolExecutor,
        on_message: Callable[[str], None],
    ) -> None:
        self._registry = registry
        self._committer = committer
        self._finisher = finisher
        self._planner = planner
        self._workers = workers
        self._on_message = on_message
        self._streams: dict[OpenSession, AgentStream] = {}
        self._draining = asyncio.Event()
        self.open_streams = 0

    def handler(self) -> grpc.GenericRpcHandler:
        """The service as grpcio wants it. Messages come as bytes: the core reads batches itself."""
        return grpc.method_handlers_generic_handler(
            wire.INGEST_SERVICE,
            {
                "Trace": grpc.stream_stream_rpc_method_handler(self.trace),
                "Finish": grpc.unary_unary_rpc_method_handler(
                    self.finish,
                    request_deserializer=wire.FinishRequest.FromString,
                    response_serializer=wire.FinishResponse.SerializeToString,
                ),
            },
        )

    # --- Trace ---

    async def trace(self, messages: AsyncIterator[bytes], context: Context) -> None:
        """Serves one stream to its end."""
        self.open_streams += 1
        try:
            await self._trace(messages, context)
        except ProtocolError as error:
            self._on_message(f"refused a stream: {error.message}")
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
        except (StoreError, UnreachableError) as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, error.message)
        finally:
            self.open_streams -= 1

    async def _unless_draining(self, waiting: Awaitable[_Result]) -> _Result:
        """Waits for something that others do, but not when the collector ends.

        Raises:
            UnreachableError: it does.
        """
        result = asyncio.ensure_future(waiting)
        draining = asyncio.create_task(self._draining.wait())
        try:
            await asyncio.wait((result, draining), return_when=asyncio.FIRST_COMPLETED)
            if not result.done():
                raise UnreachableError("the collector is ending")
            return result.result()
        finally:
            result.cancel()
            draining.cancel()

    async def _trace(self, messages: AsyncIterator[bytes], context: Context) -> None:
        try:
            first = read_message(await self._unless_draining(anext(aiter(messages), b"")))
        except asyncio.CancelledError:
            self._finisher.unheard()
            raise
        if first.WhichOneof("body") != "process":
            raise ProtocolError("the first message of a stream must say which process it is")
        opened = await self._open(read_process(first.process))
        stream = AgentStream(opened, context, self._planner)
        opened.streams += 1
        self._streams[opened] = stream
        try:
            await stream.welcome()
            await self._serve(stream, messages)
        finally:
            stream.close()
            opened.streams -= 1
            if self._streams.get(opened) is stream:
                del self._streams[opened]
            self._finisher.left(opened)

    async def _open(self, info: ProcessInfo) -> OpenSession:
        """Opens a session; one whose agent is gone before it is open must not be left to itself."""
        opening = asyncio.ensure_future(self._in_worker(self._registry.open, info))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(self._abandon)
            raise

    def _abandon(self, opening: asyncio.Future[OpenSession]) -> None:
        if opening.exception() is None:
            self._finisher.left(opening.result())

    async def _serve(self, stream: AgentStream, messages: AsyncIterator[bytes]) -> None:
        """Reads and answers until the agent is done or the collector drains."""
        reading = asyncio.create_task(self._read(stream, messages))
        draining = asyncio.create_task(self._draining.wait())
        telling = asyncio.create_task(stream.tell())
        tasks = (reading, draining, telling)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # gRPC does not know of half a write: who cancels one cannot write any more.
            stream.close()
            await asyncio.wait((telling,), timeout=LAST_WRITE_S)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
        if not telling.cancelled():
            await self._acknowledge_all(stream)

    async def _read(self, stream: AgentStream, messages: AsyncIterator[bytes]) -> None:
        session = stream.opened.session
        stream.ask_plans()
        async for message in messages:
            await self._in_worker(session.receive, message)
            stream.ask_plans()
            if session.said_goodbye or session.pending_bytes >= COMMIT_BYTES:
                self._committer.hurry()
            while session.pending_bytes > PENDING_LIMIT_BYTES:
                stream.grew.clear()
                self._committer.hurry()
                await stream.grew.wait()

    async def _acknowledge_all(self, stream: AgentStream) -> None:
        """Waits until everything that was received is stored, and says so.

        A store that refuses is not waited for: the agent keeps what is not acknowledged.
        """
        session = stream.opened.session
        while stream.opened.committed < session.received:
            if self._committer.is_refused or session.is_given_up:
                break
            stream.grew.clear()
            self._committer.hurry()
            await stream.grew.wait()
        await stream.acknowledge()

    def committed(self, opened: OpenSession) -> None:
        """Says that more of a session is stored."""
        stream = self._streams.get(opened)
        if stream is not None:
            stream.committed()

    def drain(self) -> None:
        """Stops reading streams, and ends them when what they sent is stored."""
        self._draining.set()

    async def _in_worker(self, function: Callable[[_Argument], _Result], argument: _Argument) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._workers, function, argument)

    # --- Finish ---

    async def finish(self, request: wire.FinishRequest, context: Context) -> wire.FinishResponse:
        """Answers when all of a process that has ended is stored and named."""
        self.open_streams += 1
        try:
            return await self._unless_draining(self._finisher.finish(request))
        except ProtocolError as error:
            return await context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
        except UnreachableError as error:
            return await context.abort(grpc.StatusCode.UNAVAILABLE, error.message)
        finally:
            self.open_streams -= 1
