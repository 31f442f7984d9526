"""What a traced process is: itself, its host, its threads, its modules, its clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class ProcessState(StrEnum):
    """How a process stands, as `calltrace ps` shows it."""

    RUNNING = "running"
    EXITED = "exited"
    KILLED = "killed"
    CRASHED = "crashed"
    EXECED = "execed"


class CallStatus(StrEnum):
    """How a call ended; the order is that of the core's CT_RETURNED, CT_UNWOUND, ..."""

    RETURNED = "returned"
    UNWOUND = "unwound"
    ABANDONED = "abandoned"
    OPEN = "open"
    CRASHED = "crashed"
    CUT = "cut"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Host:
    """A machine; its machine id (or, without one, its name) says which."""

    name: str
    machine_id: str
    boot_id: str
    kernel: str


@dataclass(frozen=True, slots=True)
class ClockReading:
    """Three clocks read at the same moment: process ticks, CLOCK_MONOTONIC, CLOCK_REALTIME."""

    ticks: int
    monotonic_ns: int
    realtime_ns: int


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """What a process says of itself when its stream begins.

    Attributes:
        session_id: 16 bytes that name this image of this process for ever.
        start_time_jiffies: field 22 of /proc/PID/stat.
        ticks_are_ns: the clock's ticks are nanoseconds (no time stamp counter).
        parent_thread, fork_ticks: which thread of the parent session forked it, and when by the parent's
            clock; None and 0 where nobody knows.
        capture: of which functions arguments and return values are captured: globs of their names, separated
            by commas; "": of none.
    """

    session_id: bytes
    session_directory: str
    parent_session_id: bytes
    host: Host
    pid: int
    parent_pid: int
    executable: str
    arguments: tuple[str, ...]
    working_directory: str
    user_id: int
    start_time_jiffies: int
    clock: ClockReading
    ticks_are_ns: bool
    agent_version: str
    architecture: str
    max_depth: int
    drops: bool
    parent_thread: int | None = None
    fork_ticks: int = 0
    capture: str = ""


@dataclass(frozen=True, slots=True)
class ProcessEnd:
    """How a process ended. `exit_code` and `signal` are None where nobody knows.

    `ended_at_ns` is nanoseconds since the epoch.
    """

    state: ProcessState
    exit_code: int | None
    signal: int | None
    ended_at_ns: int


@dataclass(frozen=True, slots=True)
class ThreadInfo:
    """A thread; `number` is never reused within the process, `tid` may be.

    ended_ticks 0: it lives; creator_tid 0: nobody knows which thread created it.

    Attributes:
        stack_of: if this is a stack that makecontext() gave another thread, which has its calls listed apart:
            that thread's number; stack_bytes is its size then.
    """

    number: int
    tid: int
    name: str
    started_ticks: int
    ended_ticks: int
    stack_base: int
    creator_tid: int = 0
    stack_of: int | None = None
    stack_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Segment:
    """A loadable part of a module, in the file's own addresses."""

    address: int
    size_bytes: int
    file_offset: int
    flags: int


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """A file mapped into the process; an address in memory less `load_bias` is one of the file's own.

    loaded_ticks 0: since before tracing began; unloaded_ticks 0: still there.
    """

    number: int
    path: str
    build_id: bytes
    load_bias: int
    segments: tuple[Segment, ...] = field(default=())
    loaded_ticks: int = 0
    unloaded_ticks: int = 0
