"""One traced process while its messages come in: from bytes to commits.

Pure of I/O: a stream, or a dead process's session directory, feeds it; the committer takes from it.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from calltrace_collector import wire
from calltrace_collector.core.message import peek
from calltrace_collector.core.recovery import RingWords, recover_ring
from calltrace_collector.core.trace import Trace
from calltrace_collector.errors import ProtocolError
from calltrace_collector.ingest.address_map import AddressMap
from calltrace_collector.ingest.crash_analyst import CrashCase
from calltrace_collector.ingest.export import (
    export_chunks,
    export_losses,
    export_sites,
    open_calls_at,
    restore_sites,
)
from calltrace_collector.ingest.messages import read_clock, read_message, read_module, read_thread
from calltrace_collector.ingest.ring_file import RingTail
from calltrace_collector.ingest.thread_table import ThreadTable
from calltrace_collector.model.clock import Clock
from calltrace_collector.model.commit import ChunkRow, Commit, CrashRow, SavedProcess
from calltrace_collector.model.crash import CrashRecord
from calltrace_collector.model.process import ClockReading, ModuleInfo, ProcessEnd, ProcessInfo

__all__ = ["IngestSession"]

_BATCH_FIELD = wire.AgentMessage.DESCRIPTOR.fields_by_name["batch"].number
MAX_MODULES = 1 << 16


class IngestSession:
    """Takes the messages of one process in order and turns them into commits.

    Safe to use from several threads: one feeds, another takes commits.

    Attributes:
        info: what the process said of itself.
        process: the store's id of it.
    """

    def __init__(self, info: ProcessInfo, saved: SavedProcess) -> None:
        self.info = info
        self.process = saved.process
        self._lock = threading.Lock()
        self._trace = Trace()
        self._threads = ThreadTable(self._trace, info.pid)
        self._addresses = AddressMap()
        self._unplaced: set[int] = set()
        self._received = saved.sequence
        self._sites_taken = 0
        self._modules_seen = len(saved.modules)
        self._chunks: list[ChunkRow] = []
        self._pending_bytes = 0
        self._pending = Commit(saved.process, saved.sequence)
        self._first_reading = self._last_reading = info.clock
        self._goodbye: wire.Goodbye | None = None
        self._changed = False
        self._given_up: str | None = None
        self._restore(saved)
        if saved.sequence == 0:
            self._pending.clocks.append(info.clock)
            self._changed = True

    def _restore(self, saved: SavedProcess) -> None:
        for module in saved.modules:
            self._addresses.put(module)
        restore_sites(self._trace, saved.sites)
        self._sites_taken = len(saved.sites)
        self._unplaced |= {site.function_address for site in saved.sites if site.function_place is None}
        if any(module.unloaded_ticks for module in saved.modules):
            self._trace.forget_addresses()
        self._threads.restore(saved)

    # --- what others see ---

    @property
    def received(self) -> int:
        """Sequence number of the last message taken."""
        return self._received

    @property
    def modules_seen(self) -> int:
        """How often modules came or went."""
        return self._modules_seen

    def modules(self) -> tuple[ModuleInfo, ...]:
        """Returns the modules that are mapped now."""
        with self._lock:
            return self._addresses.modules()

    @property
    def pending_bytes(self) -> int:
        """Size of what waits to be committed."""
        return self._pending_bytes

    @property
    def has_changes(self) -> bool:
        """Whether take_commit() would return something."""
        return self._changed

    @property
    def calls(self) -> int:
        """Calls entered so far, on all threads."""
        with self._lock:
            return self._threads.calls()

    def last_seen_ns(self) -> int:
        """When the process was last known to live: nanoseconds since the epoch."""
        with self._lock:
            last_ticks = self._threads.last_ticks()
        last = self._last_reading
        clock = Clock([self._first_reading, last], ticks_are_ns=self.info.ticks_are_ns)
        return clock.unix_ns(max(last_ticks, last.ticks)) if clock.rate_is_known else last.realtime_ns

    @property
    def said_goodbye(self) -> bool:
        """Whether the process has said that it ends."""
        return self._goodbye is not None

    @property
    def is_given_up(self) -> bool:
        """Whether the store could not take it."""
        return self._given_up is not None

    def give_up(self, reason: str) -> None:
        """Refuses all that comes from now on: what was taken could not be stored."""
        self._given_up = reason

    def _refuse(self, what: str) -> ProtocolError:
        return ProtocolError(f"the agent of process {self.info.pid} {what}")

    # --- feeding ---

    def receive(self, encoded: bytes) -> None:
        """Takes the next AgentMessage; one that was taken before is passed over.

        Raises:
            ProtocolError: it is malformed, or does not follow what came before. Nothing of it was taken.
        """
        message = peek(encoded)
        if self._given_up is not None:
            raise self._refuse(f"sent what cannot be stored ({self._given_up})")
        with self._lock:
            if message.sequence <= self._received:
                return
            if message.sequence != self._received + 1:
                raise self._refuse(f"sent message {message.sequence} after {self._received}")
            if message.field == _BATCH_FIELD:
                self._feed(message.body)
            else:
                self._take(read_message(encoded))
            self._received = message.sequence
            self._changed = True

    def receive_ring(self, ring: RingTail, next_thread: int) -> None:
        """Takes the records that a dead process left in a thread's ring, behind those of its batches.

        Args:
            ring: the records.
            next_thread: a number that no thread of any ring has, nor any above it.

        Raises:
            ProtocolError: they do not follow the batches, or are no records.
        """
        with self._lock:
            if not self._threads.take_left(ring.thread_info()):
                return
            begin = self._trace.thread(ring.thread).ring_end
            if not ring.tail <= begin <= ring.head:
                raise ProtocolError(
                    f"the ring of thread {ring.tid} of process {self.info.pid} begins at {ring.tail}, "
                    f"its batches end at {begin}"
                )
            words = RingWords(ring.words, begin, ring.head, ring.dropped)
            stacks = self._threads.stacks_of(ring.thread)
            next_thread = max(next_thread, self._trace.thread_count)
            batches = recover_ring(self._trace, ring.thread, words, self.info.max_depth, stacks, next_thread)
            for batch in batches:
                self._feed(memoryview(batch))
            self._changed = True

    def receive_crash(self, record: CrashRecord) -> CrashCase:
        """Takes how the process crashed, after all that it recorded until then.

        Returns:
            The crash with what it takes to analyze it.

        Raises:
            ProtocolError: its clock does not fit the process.
        """
        with self._lock:
            before = self._first_reading
            if record.clock.ticks < before.ticks or record.clock.monotonic_ns < before.monotonic_ns:
                raise self._refuse("recorded a crash of before it began")
            record = replace(record, thread=self._threads.crashed_stack(record))
            crashed_at_ns = before.realtime_ns + record.clock.monotonic_ns - before.monotonic_ns
            crash = self._pending.crash = CrashRow(record, crashed_at_ns, None)
            self._take_clock(record.clock)
            self._changed = True
            modules = self._addresses.modules()
            open_calls = open_calls_at(self._trace, record.thread, record.clock.ticks)
            return CrashCase(self.process, self.info.pid, crash, modules, open_calls)

    def _feed(self, batch: memoryview) -> None:
        self._trace.feed(batch)
        self._threads.take_stacks()
        for chunk in export_chunks(self._trace):
            self._chunks.append(chunk)
            self._pending_bytes += len(chunk.columns) + len(chunk.values)
        self._take_sites()

    def _take_sites(self) -> None:
        """Places the new sites, while the modules are those that they were seen in."""
        if self._trace.site_count == self._sites_taken:
            return
        for site in export_sites(self._trace, self._sites_taken, self._addresses):
            self._pending.sites.append(site)
            if site.function_place is None:
                self._unplaced.add(site.function_address)
        self._sites_taken = self._trace.site_count

    def _take(self, message: wire.AgentMessage) -> None:
        match message.WhichOneof("body"):
            case "module":
                self._take_module(read_module(message.module))
            case "thread":
                self._threads.take(read_thread(message.thread))
            case "clock":
                self._take_clock(read_clock(message.clock))
            case "goodbye":
                self._take_clock(read_clock(message.goodbye.clock))
                self._goodbye = message.goodbye
            case _:
                raise self._refuse("sent a message of unknown kind")

    def _take_module(self, module: ModuleInfo) -> None:
        if module.number >= MAX_MODULES:
            raise ProtocolError(
                f"the agent of process {self.info.pid} told of more than {MAX_MODULES} modules"
            )
        gone = self._addresses.put(module)
        # What was at an address before the module, nobody knows: it is not the module's.
        if gone or any(self._addresses.place(address) for address in self._unplaced):
            self._trace.forget_addresses()
            self._unplaced.clear()
        self._pending.modules.append(module)
        self._modules_seen += 1

    def _take_clock(self, reading: ClockReading) -> None:
        self._pending.clocks.append(reading)
        self._last_reading = max(reading, self._last_reading, key=lambda one: one.ticks)

    # --- committing ---

    def take_commit(self, end: ProcessEnd | None = None) -> Commit | None:
        """Takes all that has changed since the last time; None when nothing has.

        The session counts it as stored: whoever takes it sees to that.
        """
        with self._lock:
            if not self._changed and end is None:
                return None
            self._trace.flush()
            self._chunks.extend(export_chunks(self._trace))
            commit = self._pending
            commit.sequence = self._received
            commit.threads = self._threads.commit_threads()
            commit.chunks = self._chunks
            commit.losses = export_losses(self._trace)
            commit.end = end
            commit.progress = self._threads.commit_progress()
            self._pending = Commit(self.process, self._received)
            self._chunks = []
            self._pending_bytes = 0
            self._changed = False
            return commit
