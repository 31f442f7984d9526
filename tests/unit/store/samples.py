"""Records to store, made from few words, and a look at what is stored with SQLite's own library."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import zstandard

from calltrace_collector.model.commit import (
    FRAME_BYTES,
    ChunkRow,
    Place,
    SiteRow,
    StackPart,
    ThreadProgress,
)
from calltrace_collector.model.process import (
    ClockReading,
    Host,
    ModuleInfo,
    ProcessInfo,
    Segment,
    ThreadInfo,
)

HOST = Host(name="workshop", machine_id="0123456789abcdef", boot_id="boot-1", kernel="Linux 6.1")
MAX_U64 = (1 << 64) - 1


def pack(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def process_info(name: str = "one", **changes: Any) -> ProcessInfo:
    """A process; its session id is made of the name."""
    values: dict[str, Any] = {
        "session_id": name.encode().ljust(16, b"."),
        "session_directory": f"/dev/shm/calltrace-1000/{name}",
        "parent_session_id": b"",
        "host": HOST,
        "pid": 4242,
        "parent_pid": 1,
        "executable": "/usr/bin/prog",
        "arguments": ("prog", "--fast"),
        "working_directory": "/home/user",
        "user_id": 1000,
        "start_time_jiffies": 77,
        "clock": ClockReading(ticks=3_000_000, monotonic_ns=1_000_000, realtime_ns=1_700_000_000_000_000_000),
        "ticks_are_ns": False,
        "agent_version": "0.1.0",
        "architecture": "x86_64",
        "max_depth": 0,
        "drops": False,
    }
    return ProcessInfo(**{**values, **changes})


def thread_info(number: int = 0, **changes: Any) -> ThreadInfo:
    values: dict[str, Any] = {
        "number": number,
        "tid": 4242 + number,
        "name": "worker",
        "started_ticks": 3_000_000,
        "ended_ticks": 0,
        "stack_base": 0x7FFF_0000_0000,
    }
    return ThreadInfo(**{**values, **changes})


def module_info(number: int = 0, **changes: Any) -> ModuleInfo:
    values: dict[str, Any] = {
        "number": number,
        "path": "/usr/bin/prog",
        "build_id": bytes.fromhex("c0ffee00") + number.to_bytes(4, "big"),
        "load_bias": 0x5555_0000_0000,
        "segments": (Segment(0, 0x1000, 0, 4), Segment(0x1000, 0x2000, 0x1000, 5)),
    }
    return ModuleInfo(**{**values, **changes})


def site(number: int, *, function: int | None = None, module: int | None = 0) -> SiteRow:
    """A site whose function lies at offset 0x1000 + 16 * function, called from 0x2000 + 4 * number."""
    function = number if function is None else function
    offset, call_site = 0x1000 + 16 * function, 0x2000 + 4 * number
    return SiteRow(
        number=number,
        function=function,
        function_address=0x5555_0000_0000 + offset,
        call_site_address=0x5555_0000_0000 + call_site,
        frame_delta_bytes=-16 * number,
        function_place=None if module is None else Place(module, offset),
        call_site_place=None if module is None else Place(module, call_site),
    )


def chunk(number: int = 0, *, thread: int = 0, **changes: Any) -> ChunkRow:
    """A chunk of 100 calls, number * 100 + 1 and following, in ticks number * 1000 and following."""
    values: dict[str, Any] = {
        "thread": thread,
        "number": number,
        "rows": 100,
        "late_rows": 0,
        "open_rows": 0,
        "min_depth": 1,
        "max_depth": 3,
        "first_call": number * 100 + 1,
        "late_first_call": 0,
        "late_last_call": 0,
        "base_call": 1,
        "start_ticks": number * 1000,
        "end_ticks": number * 1000 + 999,
        "columns": pack(b"columns of %d/%d" % (thread, number)),
        "functions": ((0, 60, 500), (1, 40, 30)),
    }
    return ChunkRow(**{**values, **changes})


def frames(depth: int, seed: int = 1) -> bytes:
    """Packed frames that differ from each other, and for each seed."""
    return b"".join((seed << 32 | at).to_bytes(8, "little") * (FRAME_BYTES // 8) for at in range(depth))


def progress(thread: int = 0, **changes: Any) -> ThreadProgress:
    values: dict[str, Any] = {
        "thread": thread,
        "calls": 100,
        "last_ticks": 999,
        "ring_end": 4096,
        "dropped": 0,
        "orphan_exits": 0,
        "cut": 0,
        "folded": 0,
        "depth": 2,
        "next_chunk": 1,
        "stack_parts": (StackPart(0, pack(frames(2))),),
        "profile": pack(b"profile of %d" % thread),
    }
    return ThreadProgress(**{**values, **changes})


def rows_of(path: Path, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """What the database holds, read without anything of ours."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query, parameters).fetchall()


def value_of(path: Path, query: str, parameters: Sequence[Any] = ()) -> Any:
    """The only value of the only row."""
    ((value,),) = rows_of(path, query, parameters)
    return value
