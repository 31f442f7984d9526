"""What an ingest session hands to the store: one commit, all of it or nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from calltrace_collector.model.capture import Plan
from calltrace_collector.model.crash import CrashAnalysis, CrashRecord
from calltrace_collector.model.process import ClockReading, ModuleInfo, ProcessEnd, ProcessInfo, ThreadInfo

STACK_PART_FRAMES = 4096
"""Open calls in a StackPart; the last part of a stack may hold fewer."""

FRAME_BYTES = 40
"""Size of the core's struct ct_frame."""


@dataclass(frozen=True, slots=True)
class Place:
    """An address as a module's: the module's number within the process, and the address less its bias."""

    module: int
    offset: int


@dataclass(frozen=True, slots=True)
class SiteRow:
    """A (function, call site) pair; numbers count from 0 within the process.

    The places are None where no module was mapped at the address, or there is no address.
    `call_site_address` is a return address: the call is the instruction before it.
    """

    number: int
    function: int
    function_address: int
    call_site_address: int
    frame_delta_bytes: int
    function_place: Place | None
    call_site_place: Place | None


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """Calls of one thread as columns; a later row with the same thread and number replaces it.

    Attributes:
        columns: the core's columns, zstd-compressed.
        functions: for each function among the completed rows: (function number, calls, longest
            duration in ticks).
        values: the core's values of its calls, zstd-compressed; b"": none has any.
    The other attributes are those of the core's struct ct_chunk.
    """

    thread: int
    number: int
    rows: int
    late_rows: int
    open_rows: int
    min_depth: int
    max_depth: int
    first_call: int
    late_first_call: int
    late_last_call: int
    base_call: int
    start_ticks: int
    end_ticks: int
    columns: bytes
    functions: tuple[tuple[int, int, int], ...]
    values: bytes = b""


@dataclass(frozen=True, slots=True)
class StackPart:
    """Open calls of a thread at depths [part * 4096, (part + 1) * 4096).

    They are packed struct ct_frame records, zstd-compressed, and replace what was stored under the same
    number.
    """

    part: int
    frames: bytes


@dataclass(frozen=True, slots=True)
class ThreadProgress:
    """Where a thread stands: the core's struct ct_thread_state, its open calls, its profile.

    Parts of the stack at or above ceil(depth / 4096) no longer exist. `profile` is zstd-compressed; empty:
    what is stored stays.
    """

    thread: int
    calls: int
    last_ticks: int
    ring_end: int
    dropped: int
    orphan_exits: int
    cut: int
    folded: int
    depth: int
    next_chunk: int
    stack_parts: tuple[StackPart, ...]
    profile: bytes


@dataclass(frozen=True, slots=True)
class Loss:
    """A gap in a thread's trace: `count` events dropped, or an exit without entry (count: address)."""

    thread: int
    kind: int
    call: int
    ticks: int
    count: int


@dataclass(frozen=True, slots=True)
class CrashRow:
    """A crash, which replaces what is stored of one of the same process; `analysis` None: not made yet.

    `crashed_at_ns` is nanoseconds since the epoch, by the process's clock.
    """

    record: CrashRecord
    crashed_at_ns: int
    analysis: CrashAnalysis | None


@dataclass(slots=True)
class Commit:
    """What changed in one process since its last commit.

    `sequence` is the last message of the stream that it includes. Modules, threads and chunks replace
    those of the same number.
    """

    process: int
    sequence: int
    threads: list[ThreadInfo] = field(default_factory=list)
    modules: list[ModuleInfo] = field(default_factory=list)
    sites: list[SiteRow] = field(default_factory=list)
    chunks: list[ChunkRow] = field(default_factory=list)
    progress: list[ThreadProgress] = field(default_factory=list)
    clocks: list[ClockReading] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    end: ProcessEnd | None = None
    crash: CrashRow | None = None


@dataclass(frozen=True, slots=True)
class SavedProcess:
    """What the store remembers of a process, for a collector that carries on where another stopped.

    `stacks` maps a thread's number to the packed, decompressed struct ct_frame records of all its open
    calls; `profiles` to its decompressed profile.
    """

    process: int
    sequence: int
    ended: bool
    threads: tuple[ThreadInfo, ...] = ()
    modules: tuple[ModuleInfo, ...] = ()
    sites: tuple[SiteRow, ...] = ()
    progress: tuple[ThreadProgress, ...] = ()
    stacks: dict[int, bytes] = field(default_factory=dict)
    profiles: dict[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnnamedFile:
    """A module file, of any process, that has functions or call sites without names.

    Attributes:
        file: the store's id of the file, which stands for its build-id (or, without one, its path).
        functions: offsets of functions' entries.
        call_sites: offsets of return addresses.
    """

    file: int
    path: str
    build_id: bytes
    functions: tuple[int, ...]
    call_sites: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FunctionName:
    """A function of a module file. `offset` is the one asked for; file and line those of the definition.

    `name` is demangled. None: looked for and not found.
    """

    offset: int
    size_bytes: int
    linkage_name: str | None
    name: str | None
    file: str | None
    line: int | None


@dataclass(frozen=True, slots=True)
class CallSiteName:
    """Where a call stands: the calling function (demangled), file and line; None where unknown."""

    offset: int
    caller: str | None
    file: str | None
    line: int | None


class Sink(Protocol):
    """Where ingest sessions put what they have; the store implements it. Safe to use from any thread."""

    def open_process(self, info: ProcessInfo) -> SavedProcess:
        """Finds the process with this session id, or stores it. Raises StoreError."""
        ...

    def commit(self, commits: list[Commit]) -> None:
        """Stores all of the commits in one transaction. Raises StoreError; then nothing is stored."""
        ...

    def store_plan(self, process: int, module: int, plan: Plan) -> int:
        """Stores by which plan the values of a process's module are captured.

        Args:
            process: the store's id of the process.
            module: the module's number.
            plan: of the module's file. Where it is what was stored for the module before, so are the numbers.

        Returns:
            What to add to a HookPlan.layout: no other layout of the process has such a number.

        Raises:
            StoreError: it cannot be stored; then nothing is.
        """
        ...

    def unnamed(self, limit: int = 100_000) -> list[UnnamedFile]:
        """Returns what has no names yet and has not been looked for in vain."""
        ...

    def name(self, file: int, functions: list[FunctionName], call_sites: list[CallSiteName]) -> None:
        """Stores names of a file; better information replaces worse. Raises StoreError."""
        ...
