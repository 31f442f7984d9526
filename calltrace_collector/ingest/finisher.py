"""The finisher: sees to it that sessions end when their processes have.

Runs in the event loop; what takes time is done by a worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from calltrace_collector import wire
from calltrace_collector.errors import CalltraceError
from calltrace_collector.ingest.crash_analyst import CrashAnalyst
from calltrace_collector.ingest.left_behind import LeftBehind
from calltrace_collector.ingest.registry import OpenSession, Registry
from calltrace_collector.ingest.symbolizer import Symbolizer

__all__ = ["Finisher"]

FIRST_LOOK_S = 0.005
LAST_LOOK_S = 0.5
"""How often it is looked whether a process whose stream has ended is gone: often at first, then seldom."""
ADOPT_INTERVAL_S = 0.5
"""How often it is looked for sessions left behind by processes that were gone before they were served."""


class Finisher:
    """Ends sessions.

    Args:
        registry: whose sessions.
        left_behind: opens and ends those of processes that are gone already.
        symbolizer: is told when a session has ended.
        analyst: has the crashes of sessions that have ended.
        workers: threads for what waits.
        on_message: called with one line for the user.
    """

    def __init__(
        self,
        registry: Registry,
        left_behind: LeftBehind,
        symbolizer: Symbolizer,
        analyst: CrashAnalyst,
        workers: ThreadPoolExecutor,
        on_message: Callable[[str], None],
    ) -> None:
        self._registry = registry
        self._left_behind = left_behind
        self._symbolizer = symbolizer
        self._analyst = analyst
        self._workers = workers
        self._on_message = on_message
        self._tasks: dict[OpenSession, asyncio.Task[None]] = {}
        self._adopting: asyncio.Task[None] | None = None

    def left(self, opened: OpenSession) -> None:
        """A session's stream has ended: end the session as soon as its process has."""
        if opened not in self._tasks:
            task = asyncio.create_task(self._end_when_over(opened))
            self._tasks[opened] = task
            task.add_done_callback(lambda _: self._tasks.pop(opened, None))

    async def _end_when_over(self, opened: OpenSession) -> None:
        wait_s = FIRST_LOOK_S
        while not opened.streams:
            try:
                if await self._in_worker(lambda: self._registry.end_if_over(opened)):
                    self._symbolizer.ask()
                    return
            except (CalltraceError, OSError) as error:
                self._on_message(str(error))
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, LAST_LOOK_S)

    async def adopt_forever(self) -> None:
        """Looks for what was left behind, now and regularly."""
        while True:
            await self.adopt()
            await asyncio.sleep(ADOPT_INTERVAL_S)

    def unheard(self) -> None:
        """A stream has ended before it said whose it is: its process may have left everything behind."""
        if not self._adopting:
            self._adopting = asyncio.create_task(self.adopt())
            self._adopting.add_done_callback(lambda _: setattr(self, "_adopting", None))

    async def adopt(self) -> None:
        """Takes what was left behind."""
        try:
            await self._in_worker(self._left_behind.adopt)
        except CalltraceError as error:
            self._on_message(error.message)

    async def finish(self, request: wire.FinishRequest) -> wire.FinishResponse:
        """Returns when all sessions of a process that has ended are stored, named and analyzed."""
        process = (request.pid, request.start_time_jiffies)
        self._registry.ends.tell_wait_status(process, request.wait_status)
        await self.adopt()
        wait_s = FIRST_LOOK_S
        while self._registry.of_process(process):
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, LAST_LOOK_S)
        await self._in_worker(self._symbolizer.wait)
        await self._in_worker(self._analyst.wait)
        images = self._registry.ends.finished(process)
        told = [(image.process, self._analyst.told(image.process)) for image in images]
        return wire.FinishResponse(
            sessions=len(images),
            calls=sum(image.calls for image in images),
            crashes=[
                wire.FinishedCrash(process=process, reason=crash.reason, handled=crash.handled)
                for process, crash in told
                if crash is not None
            ],
        )

    @property
    def is_idle(self) -> bool:
        """Whether no session waits for its process's end."""
        return not self._tasks and not self._registry.open_sessions()

    async def _in_worker(self, function: Callable[[], bool | None]) -> bool | None:
        return await asyncio.get_running_loop().run_in_executor(self._workers, function)
