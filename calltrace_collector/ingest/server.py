"""The server: puts the parts of the ingest together, and serves until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import grpc

from calltrace_collector.errors import UnreachableError
from calltrace_collector.ingest.committer import Committer
from calltrace_collector.ingest.crash_analyst import CrashAnalyst
from calltrace_collector.ingest.finisher import Finisher
from calltrace_collector.ingest.left_behind import LeftBehind
from calltrace_collector.ingest.listener import private_socket, restricted_umask
from calltrace_collector.ingest.plans import PlanMaker, Planner
from calltrace_collector.ingest.registry import Registry
from calltrace_collector.ingest.service import IngestService
from calltrace_collector.ingest.session import IngestSession
from calltrace_collector.ingest.symbolizer import Symbolizer
from calltrace_collector.model.commit import Commit, Sink
from calltrace_collector.model.crash import CrashAnalyzer
from calltrace_collector.symbols.resolver import Resolver

__all__ = ["ServeOptions", "serve"]

MAX_MESSAGE_BYTES = 1 << 20
"""Of one message; agents send at most 256 KiB."""
ENDERS = 32
"""Sessions that can end at the same time."""
GRACE_S = 0.5
"""How long streams that are done may take to close."""
SWITCH_INTERVAL_S = 0.0005
"""How long a thread that only computes (that finds names, or unwinds stacks) lets others wait for Python, as
they do after each call of the system or of the core."""
IDLE_S = 0.2
"""How long a collector that serves until it is idle waits for another stream."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How to serve.

    Attributes:
        socket: path of the unix socket.
        ready_fd: the writing end of a pipe, to which a line is written once agents can connect.
        until_idle: end by itself when the pipe's reading end is closed and no process is traced any more.
        shm_directories: where agents keep their session directories.
    """

    socket: Path
    until_idle: bool = False
    ready_fd: int | None = None
    shm_directories: tuple[Path, ...] = ()


def serve(
    options: ServeOptions,
    sink: Sink,
    analyzer: CrashAnalyzer,
    make_plan: PlanMaker,
    on_message: Callable[[str], None],
) -> None:
    """Serves until SIGTERM or SIGINT, then commits everything received and returns.

    Args:
        options: how.
        sink: where commits go.
        analyzer: makes sense of crashes.
        make_plan: makes out how the values of a file's calls are captured.
        on_message: called, from any thread, with one line for the user.

    Raises:
        UsageError: the socket cannot be used.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    _allow_many_descriptors()
    with private_socket(options.socket):
        asyncio.run(_Server(options, sink, analyzer, make_plan, on_message).run())


def _allow_many_descriptors() -> None:
    """Each traced process takes a few, and the limit that one starts with is for programs that use select."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Server:
    def __init__(
        self,
        options: ServeOptions,
        sink: Sink,
        analyzer: CrashAnalyzer,
        make_plan: PlanMaker,
        on_message: Callable[[str], None],
    ) -> None:
        self._options = options
        self._workers = ThreadPoolExecutor(max_workers=(os.cpu_count() or 1) + 2, thread_name_prefix="worker")
        self._symbolizer = Symbolizer(sink, Resolver())
        self._committer = Committer(sink, self._on_committed, on_message)
        self._analyst = CrashAnalyst(analyzer, sink, on_message)
        self._planner = Planner(make_plan, sink, on_message)
        self._registry = Registry(sink, self._committer, self._analyst, on_message)
        left_behind = LeftBehind(self._registry, options.socket, options.shm_directories, on_message)
        # Ends wait for their commits; who decodes must not wait with them.
        self._enders = ThreadPoolExecutor(max_workers=ENDERS, thread_name_prefix="ender")
        self._finisher = Finisher(
            self._registry, left_behind, self._symbolizer, self._analyst, self._enders, on_message
        )
        self._service = IngestService(
            self._registry, self._committer, self._finisher, self._planner, self._workers, on_message
        )
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def _on_committed(self, session: IngestSession, commit: Commit) -> None:
        """In the committer's thread: a session's commit is stored."""
        opened = self._registry.committed(session, commit.sequence)
        if opened is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._service.committed, opened)
        if commit.sites:
            self._symbolizer.ask()

    async def run(self) -> None:
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        server = grpc.aio.server(
            options=[("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.so_reuseport", 0)]
        )
        server.add_generic_rpc_handlers((self._service.handler(),))
        with restricted_umask():
            if not server.add_insecure_port(f"unix:{self._options.socket}"):
                raise UnreachableError(f"cannot listen at {self._options.socket}")
            await server.start()
        self._symbolizer.start()
        self._analyst.start()
        self._planner.start()
        self._committer.start()
        chores = [asyncio.create_task(self._finisher.adopt_forever())]
        if self._options.ready_fd is not None:
            with suppress(BrokenPipeError):  # whoever started us is gone already
                os.write(self._options.ready_fd, b"\n")
        if self._options.until_idle:
            chores.append(asyncio.create_task(self._stop_when_idle()))
        await self._stop.wait()
        for chore in chores:
            chore.cancel()
        await self._drain(server)

    async def _drain(self, server: grpc.aio.Server) -> None:
        """Commits what was received, acknowledges it, and ends the streams."""
        self._service.drain()
        while self._service.open_streams:
            await asyncio.sleep(0.01)
        await server.stop(GRACE_S)
        for part in (self._planner, self._committer, self._symbolizer, self._analyst):
            await asyncio.get_running_loop().run_in_executor(None, part.stop)
        self._workers.shutdown()
        self._enders.shutdown()

    async def _stop_when_idle(self) -> None:
        if self._options.ready_fd is not None:
            await self._lifeline_end(self._options.ready_fd)
        quiet_s = 0.0
        while quiet_s < IDLE_S:
            await asyncio.sleep(IDLE_S / 10)
            busy = self._service.open_streams or not self._finisher.is_idle
            quiet_s = 0.0 if busy else quiet_s + IDLE_S / 10
        self._stop.set()

    async def _lifeline_end(self, fd: int) -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(fd, ended.set)  # a pipe's writing end has news only when the reader is gone
        await ended.wait()
        loop.remove_reader(fd)
