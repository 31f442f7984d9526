"""Messages and records for tests of the ingest, made by hand."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from calltrace_collector import wire
from calltrace_collector.model.capture import Plan
from calltrace_collector.model.commit import CallSiteName, Commit, FunctionName, SavedProcess, UnnamedFile
from calltrace_collector.model.process import ClockReading, Host, ProcessInfo

FUNCTION = 0x401000
CALL_SITE = 0x402000


def process_message() -> wire.Process:
    """A Process message with all that is required."""
    return wire.Process(
        session_id=bytes(range(16)),
        pid=1234,
        parent_pid=1,
        executable="/bin/prog",
        arguments=["prog"],
        host=wire.Host(name="here", machine_id="m", boot_id="b", kernel="6"),
        start_time_jiffies=99,
        clock=wire.Clock(ticks=1000, monotonic_ns=500, realtime_ns=10**18),
    )


def process_info() -> ProcessInfo:
    """The same as a record."""
    return ProcessInfo(
        session_id=bytes(range(16)),
        session_directory="",
        parent_session_id=b"",
        host=Host("here", "m", "b", "6"),
        pid=1234,
        parent_pid=1,
        executable="/bin/prog",
        arguments=("prog",),
        working_directory="",
        user_id=0,
        start_time_jiffies=99,
        clock=ClockReading(1000, 500, 10**18),
        ticks_are_ns=False,
        agent_version="",
        architecture="",
        max_depth=0,
        drops=False,
    )


class Script:
    """Writes the messages of one thread that enters and leaves functions."""

    def __init__(self) -> None:
        self.sequence = 0
        self._ring = 0
        self._ticks = 1000
        self._sites = 0

    def _message(self, **body: object) -> bytes:
        self.sequence += 1
        return wire.AgentMessage(sequence=self.sequence, **body).SerializeToString()  # type: ignore[arg-type]

    def thread(self, number: int = 0, *, ended_ticks: int = 0) -> bytes:
        thread = wire.Thread(number=number, tid=77, name="t", started_ticks=1000, ended_ticks=ended_ticks)
        return self._message(thread=thread)

    def module(self, number: int, start: int, *, unloaded_ticks: int = 0) -> bytes:
        segment = wire.Segment(address=0, size_bytes=0x10000)
        module = wire.Module(
            number=number,
            path=f"/lib/{number}.so",
            build_id=bytes([number]),
            load_bias=start,
            segments=[segment],
            loaded_ticks=1,
            unloaded_ticks=unloaded_ticks,
        )
        return self._message(module=module)

    def clock(self, ticks: int = 2000) -> bytes:
        return self._message(clock=wire.Clock(ticks=ticks, monotonic_ns=600, realtime_ns=10**18 + 100))

    def goodbye(self) -> bytes:
        return self._message(goodbye=wire.Goodbye(exit_code=0, clock=wire.Clock(ticks=3000)))

    def batch(
        self,
        *ops: int,
        new_sites: int = 0,
        thread: int = 0,
        function: int = FUNCTION,
        values: Sequence[bytes] = (),
    ) -> bytes:
        """A batch whose events are 10 ticks apart; `values` are those captured at each of them."""
        sites = [
            wire.Site(function_address=function + 16 * i, call_site_address=CALL_SITE, frame_delta_bytes=32)
            for i in range(new_sites)
        ]
        begin, self._ring = self._ring, self._ring + 2 * len(ops)
        base, self._ticks = self._ticks, self._ticks + 10 * len(ops)
        first, self._sites = self._sites, self._sites + new_sites
        batch = wire.EventBatch(
            thread=thread,
            ring_begin=begin,
            ring_end=self._ring,
            base_ticks=base,
            first_site=first,
            sites=sites,
            dt=[10] * len(ops),
            op=ops,
            value_sizes=[len(value) for value in values],
            values=b"".join(values),
        )
        return self._message(batch=batch)


class MemorySink:
    """A Sink that keeps what it is given, and refuses when told to."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self.refusal: Exception | None = None
        self.saved = SavedProcess(process=1, sequence=0, ended=False)
        self.unnamed_files: list[UnnamedFile] = []
        self.named: list[tuple[int, list[FunctionName], list[CallSiteName]]] = []
        self.plans: list[tuple[int, int, Plan]] = []
        self.refused = threading.Event()

    def open_process(self, info: ProcessInfo) -> SavedProcess:
        del info
        return self.saved

    def commit(self, commits: list[Commit]) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.commits.extend(commits)

    def store_plan(self, process: int, module: int, plan: Plan) -> int:
        if self.refusal is not None:
            self.refused.set()
            raise self.refusal
        first = sum(len(stored.layouts) for _, _, stored in self.plans)
        self.plans.append((process, module, plan))
        return first

    def unnamed(self, limit: int = 100_000) -> list[UnnamedFile]:
        files, self.unnamed_files = self.unnamed_files[:limit], []
        return files

    def name(self, file: int, functions: list[FunctionName], call_sites: list[CallSiteName]) -> None:
        self.named.append((file, functions, call_sites))
