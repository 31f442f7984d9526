"""What the reader returns. Addresses, ticks and counts are unsigned 64-bit numbers."""

from __future__ import annotations

from dataclasses import dataclass

from calltrace_collector.model.process import ProcessState
from calltrace_collector.store.compression import decompress


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A stored process.

    Attributes:
        id: the store's number for it, never used again for another.
        parent: the id of the process that began it, if that is stored too (for a process that was
            exec'd: the one it was before).
        host: the machine's name.
        started_at_ns, ended_at_ns: nanoseconds since the epoch; None while it runs.
        threads, calls: traced so far; lost_events: dropped so far.
    """

    id: int
    session_id: bytes
    session_directory: str
    parent_session_id: bytes
    parent: int | None
    host: str
    machine_id: str
    boot_id: str
    kernel: str
    pid: int
    parent_pid: int
    user_id: int
    start_time_jiffies: int
    executable: str
    arguments: tuple[str, ...]
    working_directory: str
    architecture: str
    agent_version: str
    ticks_are_ns: bool
    max_depth: int
    drops: bool
    parent_thread: int | None
    fork_ticks: int
    started_at_ns: int
    ended_at_ns: int | None
    state: ProcessState
    exit_code: int | None
    signal: int | None
    sequence: int
    threads: int
    calls: int
    lost_events: int


@dataclass(frozen=True, slots=True)
class ThreadRecord:
    """A stored thread and how far its trace has come; ThreadInfo and ThreadProgress say what is what."""

    process: int
    number: int
    tid: int
    name: str
    started_ticks: int
    ended_ticks: int
    stack_base: int
    creator_tid: int
    stack_of: int | None
    stack_bytes: int
    calls: int
    last_ticks: int
    ring_end: int
    dropped: int
    orphan_exits: int
    cut: int
    folded: int
    depth: int
    next_chunk: int


@dataclass(frozen=True, slots=True)
class StoredCrash:
    """A stored crash; CrashRecord and CrashAnalysis in model/ say what is what.

    Attributes:
        process: the store's id of the process.
        pid, host, executable: of the process; the host's name.
        fault_address: None where the signal has none; sender_pid: None where no process sent it.
        crashed_at_ns: nanoseconds since the epoch.
        registers: hexadecimal numbers by name, in the order in which they are shown; {}: there are none.
        exception_type: mangled, as the agent recorded it; None: no exception was the reason.
        is_analyzed: false: what the analysis says (code_name to unwound_until) is empty.
    """

    process: int
    thread: int | None
    tid: int
    thread_name: str
    signal: int
    signal_name: str
    code: int
    fault_address: int | None
    sender_pid: int | None
    ticks: int
    crashed_at_ns: int
    registers: dict[str, str]
    exception_type: str | None
    exception_what: str | None
    abort_message: str
    handled: bool
    incomplete: str
    is_analyzed: bool
    code_name: str
    code_meaning: str
    fault_description: str
    reason: str
    unwound_until: str
    pid: int
    host: str
    executable: str


@dataclass(frozen=True, slots=True)
class FunctionRecord:
    """A function that a process entered.

    Attributes:
        number: what sites, chunks and profiles call it.
        name: demangled; where nobody knows it, the module's name and the offset in it ("prog+0x1139"), or
            the address ("0x7f0012345678") where no module was.
        is_named: name is the function's own.
        module: the path of the module that it stands in, None where no module was.
        offset: its address as one of the module's.
        file, line: of the definition, None where unknown.
        size_bytes: 0 where unknown.
    """

    number: int
    address: int
    name: str
    is_named: bool
    linkage_name: str | None
    module: str | None
    module_number: int | None
    offset: int | None
    size_bytes: int
    file: str | None
    line: int | None


@dataclass(frozen=True, slots=True)
class SiteRecord:
    """A pair of function and call site.

    Attributes:
        number: what calls carry in their column `site`.
        function: number of the function entered.
        call_site_address: where it returns to; the call is the instruction before. 0: not known.
        caller, file, line: the function and the source line of the call, None where unknown.
        module: the path of the caller's module; offset: the return address as one of the module's.
    """

    number: int
    function: int
    call_site_address: int
    caller: str | None
    file: str | None
    line: int | None
    module: str | None
    offset: int | None
    frame_delta_bytes: int


@dataclass(frozen=True, slots=True)
class ChunkHead:
    """A chunk without its columns; the attributes are those of the core's struct ct_chunk.

    max_ticks is the longest duration among its completed calls.
    """

    id: int
    process: int
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
    max_ticks: int


# Eight columns of a row, each as a varint of at most 10 bytes; and room for headers.
_ROW_LIMIT_BYTES = 80
_HEADER_LIMIT_BYTES = 4096
_VALUES_LIMIT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk, its columns and, where they were asked for and there are any, its values, zstd-compressed."""

    head: ChunkHead
    packed: bytes
    packed_values: bytes | None = None

    def columns(self) -> bytes:
        """The columns as ct_chunk_decode takes them. Raises StoreError when they are damaged."""
        return decompress(self.packed, self.head.rows * _ROW_LIMIT_BYTES + _HEADER_LIMIT_BYTES)

    def values(self) -> bytes:
        """The values as ct_values_decode takes them; b"": none. Raises StoreError when they are damaged."""
        return b"" if self.packed_values is None else decompress(self.packed_values, _VALUES_LIMIT_BYTES)


@dataclass(frozen=True, slots=True)
class FunctionInChunk:
    """Completed calls of a function in a chunk: how many, and the longest duration."""

    function: int
    chunk: int
    calls: int
    max_ticks: int


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """A plan by which values of a process were captured.

    Attributes:
        first_layout: the number of its first layout in the process's values; the others follow.
        layout_count: how many there are.
        module: number of the module whose functions it is for.
        capture_plan: the store's id of the layouts, Reader.layouts.
    """

    first_layout: int
    layout_count: int
    module: int
    capture_plan: int
