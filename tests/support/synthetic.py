"""A process that never was: its events go through the core and the store, and into the twin beside."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from calltrace_collector.core import Limits, Trace
from calltrace_collector.core.twin import Call, Twin
from calltrace_collector.ingest.address_map import AddressMap
from calltrace_collector.ingest.export import (
    ThreadExport,
    export_chunks,
    export_losses,
    export_sites,
    restore_sites,
    restore_thread,
)
from calltrace_collector.model.capture import Plan
from calltrace_collector.model.commit import CallSiteName, Commit, FunctionName
from calltrace_collector.model.process import (
    ClockReading,
    Host,
    ModuleInfo,
    ProcessEnd,
    ProcessInfo,
    ProcessState,
    Segment,
    ThreadInfo,
)
from calltrace_collector.store.writer import Writer
from calltrace_collector.wire import EventBatch, Mark, Site

TICKS_PER_NS = 3
START_NS = 1_700_000_000_000_000_000
"""When the first event of each thread may be."""
START_TICKS = 5_000_000_000
MODULE = "/opt/prog/prog"
SOURCE = "/src/prog.c"

_BIAS = 0x5555_0000_0000
_FUNCTIONS = 0x1000
_CALL_SITES = 0x100000
_SECOND_NS = 1_000_000_000
_STACK_BASE = 0x7FFF_0000


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the program; its definition stands at `line`."""

    name: str
    linkage_name: str
    line: int


def function(name: str, linkage_name: str | None = None, line: int = 1) -> Function:
    """A function; in C, both names are the same."""
    return Function(name, linkage_name or name, line)


class Synthetic:
    """A traced process, made by calling its functions.

    Args:
        writer: where it is stored.
        functions: what it consists of.
        threads: numbered from 0; their tids are 100, 101, ...
        chunk_rows: rows of a chunk; the smaller, the more calls begin in one and end in another.
        plan: of the program; at random, layout 0 is captured at some entries and layout 1 at some exits, an
            int each.
        changes: of the ProcessInfo.
    """

    def __init__(
        self,
        writer: Writer,
        functions: Sequence[Function],
        *,
        threads: int = 1,
        chunk_rows: int = 8,
        session: str = "synthetic",
        plan: Plan | None = None,
        **changes: object,
    ) -> None:
        limits = Limits(chunk_rows=chunk_rows, keep_rows=max(1, chunk_rows // 2))
        self.functions = {each.name: each for each in functions}
        self.trace, self.twin = Trace(limits), Twin(limits)
        self._info = _info(session, changes)
        self.process = writer.open_process(self._info).process
        self._writer = writer
        self._sequence = 0
        self._sites: dict[tuple[str, int], int] = {}
        self._names: list[tuple[str, int]] = []
        self._exports = {number: ThreadExport(number) for number in range(threads)}
        self.modules = AddressMap()
        module = ModuleInfo(0, MODULE, b"synthetic!", _BIAS, (Segment(0, 1 << 24, 0, 5),))
        self.modules.put(module)
        infos = [
            ThreadInfo(number, 100 + number, f"worker {number}", START_TICKS, 0, _STACK_BASE)
            for number in range(threads)
        ]
        for info in infos:
            self.trace.declare_thread(info.number, START_TICKS, _STACK_BASE)
            self.twin.declare_thread(info.number, START_TICKS, _STACK_BASE)
        # The process's first reading was a second before: so how long a tick is, is known from the start.
        reading = ClockReading(START_TICKS, _SECOND_NS, START_NS)
        self._commit(threads=infos, modules=[module], clocks=[reading])
        self._captures = plan is not None
        self._first_layout = 0 if plan is None else writer.store_plan(self.process, 0, plan)

    # ---- what happens ----

    def captured(self, layout: int, content: bytes) -> bytes:
        """What an agent captures by a layout of the plan: its number and what the agent leaves."""
        return (self._first_layout + layout).to_bytes(4, "little") + content

    def enter(
        self, name: str, after_ns: int = 1, *, line: int = 10, thread: int = 0, captured: bytes = b""
    ) -> None:
        """A function is called from a line."""
        key = (name, line)
        sites = []
        if key not in self._sites:
            address = _BIAS + _FUNCTIONS + 16 * list(self.functions).index(name)
            sites = [Site(function_address=address, call_site_address=_BIAS + _CALL_SITES + 16 * line)]
        site = self._sites.setdefault(key, len(self._sites))
        if sites:
            self._names.append(key)
        self._feed(thread, _event(after_ns, site + 1, captured, sites))

    def leave(self, after_ns: int = 1, *, thread: int = 0, calls: int = 1, captured: bytes = b"") -> None:
        """The innermost calls return, one after the other."""
        for _ in range(calls):
            self._feed(thread, _event(after_ns, 0, captured))

    def mark(self, kind: str, value: int, *, thread: int = 0) -> None:
        """Something happens that is neither (Mark.Kind): ABANDONED, DROPPED, CUT, ..."""
        mark = Mark(index=0, kind=Mark.Kind.Value(kind), value=value)
        self._feed(thread, EventBatch(marks=[mark]))

    def forget_addresses(self) -> None:
        """A module was unloaded: the same addresses are other functions from now on."""
        self.trace.forget_addresses()
        self.twin.forget_addresses()

    def _feed(self, thread: int, batch: EventBatch) -> None:
        state = self.twin.threads[thread]
        batch.thread = thread
        batch.ring_begin, batch.ring_end = state.ring_end, state.ring_end + 2
        batch.base_ticks = state.last_ticks
        batch.first_site = len(self.twin.sites)
        self.trace.feed(batch.SerializeToString())
        self.twin.feed(batch)

    def at_random(self, seed: int, events: int) -> None:
        """Does what comes, among it commits, on all threads."""
        chance = random.Random(seed)
        names = list(self.functions)
        for _ in range(events):
            thread = chance.choice(list(self._exports))
            depth = len(self.twin.threads[thread].stack)
            kind = chance.choices(["enter", "leave", "mark", "gap", "commit"], [20, 19, 2, 1, 1])[0]
            after_ns = chance.choice([1, 1, 2, 10, 1000, 50_000])
            captured = b""
            if self._captures and chance.random() < 0.7:
                captured = self.captured(kind == "leave", b"\0" + chance.randbytes(4))
            if kind == "enter":
                name, line = chance.choice(names), chance.choice([10, 20])
                self.enter(name, after_ns, line=line, thread=thread, captured=captured)
            elif kind == "leave" and depth:
                self.leave(after_ns, thread=thread, captured=captured)
            elif kind == "mark" and depth:
                ended = chance.randint(1, min(depth, 3))
                self.mark(chance.choice(["ABANDONED", "LOST_EXIT", "CUT"]), ended, thread=thread)
            elif kind == "gap":
                self.mark(chance.choice(["DROPPED", "ORPHAN_EXIT"]), chance.randint(1, 50), thread=thread)
            elif kind == "commit":
                self.commit()

    # ---- what is stored ----

    def commit(self) -> None:
        """Stores what there is so far, and names what is new."""
        self.trace.flush()
        self._commit()

    def restart(self) -> None:
        """Another collector carries on with what is stored, which is all there is."""
        self.commit()
        saved = self._writer.open_process(self._info)
        self.trace = Trace(self.twin.limits)
        restore_sites(self.trace, saved.sites)
        for progress in saved.progress:
            self.trace.declare_thread(progress.thread, START_TICKS, _STACK_BASE)
            if progress.thread in saved.profiles:
                restore_thread(self.trace, progress, _STACK_BASE, saved)
        self._exports = {number: ThreadExport(number) for number in self._exports}

    def end(self, state: ProcessState = ProcessState.EXITED, **how: int | None) -> None:
        """The process ends: `exit_code` and `signal` say how."""
        last_ticks = max(thread.last_ticks for thread in self.twin.threads.values())
        end = ProcessEnd(state, how.get("exit_code"), how.get("signal"), self.unix_ns(last_ticks))
        self.trace.flush()
        self._commit(end=end)

    def _commit(self, **parts: object) -> None:
        self._sequence += 1
        first_site = len(self._sites) - len(self._names)
        progress = [export.take(self.trace) for export in self._exports.values()]
        commit = Commit(
            self.process,
            self._sequence,
            sites=list(export_sites(self.trace, first_site, self.modules)),
            chunks=list(export_chunks(self.trace)),
            progress=[step for step in progress if step is not None],
            losses=export_losses(self.trace),
        )
        for name, value in parts.items():
            setattr(commit, name, value)
        self._writer.commit([commit])
        self._names.clear()
        self._name()

    def _name(self) -> None:
        functions = list(self.functions.values())
        for file in self._writer.unnamed():
            named = [
                FunctionName(offset, 16, its.linkage_name, its.name, SOURCE, its.line)
                for offset in file.functions
                for its in [functions[(offset - _FUNCTIONS) // 16]]
            ]
            lines = [(offset, (offset - _CALL_SITES) // 16) for offset in file.call_sites]
            called = [CallSiteName(offset, f"caller_{line}", SOURCE, line) for offset, line in lines]
            self._writer.name(file.file, named, called)

    # ---- the truth about it ----

    def calls(self, thread: int = 0) -> list[Call]:
        """All calls of a thread, in order of entry."""
        return self.twin.threads[thread].calls

    def name(self, call: Call) -> str:
        """The name of a call's function."""
        return list(self._sites)[call.site][0]

    def line(self, call: Call) -> int:
        """The line that a call was made from."""
        return list(self._sites)[call.site][1]

    def unix_ns(self, ticks: int) -> int:
        """When that was."""
        return START_NS + (ticks - START_TICKS) // TICKS_PER_NS

    def until_ticks(self, call: Call) -> int:
        """When a call ended, or until when it is known to have been open."""
        if call.status != 3:
            return call.end_ticks
        return max(START_TICKS, *(each.last_ticks for each in self.twin.threads.values()))


def _event(after_ns: int, op: int, captured: bytes, sites: Sequence[Site] = ()) -> EventBatch:
    sizes = [len(captured)] if captured else []
    return EventBatch(dt=[after_ns * TICKS_PER_NS], op=[op], sites=sites, value_sizes=sizes, values=captured)


def _info(session: str, changes: dict[str, object]) -> ProcessInfo:
    values: dict[str, object] = {
        "session_id": session.encode().ljust(16, b"."),
        "session_directory": "",
        "parent_session_id": b"",
        "host": Host("workshop", "machine", f"boot {session}", "6.1"),
        "pid": 4242,
        "parent_pid": 1,
        "executable": MODULE,
        "arguments": ("prog", "two words"),
        "working_directory": "/",
        "user_id": 1000,
        "start_time_jiffies": 77,
        "clock": ClockReading(START_TICKS - TICKS_PER_NS * _SECOND_NS, 0, START_NS - _SECOND_NS),
        "ticks_are_ns": False,
        "agent_version": "1",
        "architecture": "x86_64",
        "max_depth": 0,
        "drops": False,
    }
    return ProcessInfo(**{**values, **changes})  # type: ignore[arg-type] # as the test has it
