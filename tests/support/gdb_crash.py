"""Crashes as gdb sees them: the record that an agent would have made, and the backtrace to compare with."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from calltrace_collector.model.crash import CrashRecord, MemoryRange
from calltrace_collector.model.process import ClockReading, ModuleInfo, Segment

SCRIPT = Path(__file__).with_name("gdb_script.py")
_FLAGS = {"R": 4, "W": 2, "E": 1}


@dataclass(frozen=True)
class GdbFrame:
    """A line of gdb's backtrace; `linkage_name` None where gdb has no debug information."""

    address: int
    name: str | None
    linkage_name: str | None
    type: str
    file: str | None
    line: int | None
    stack_pointer: int


@dataclass(frozen=True)
class GdbCrash:
    record: CrashRecord
    modules: tuple[ModuleInfo, ...]
    frames: tuple[GdbFrame, ...]


def crash(
    program: Path,
    folder: Path,
    *arguments: str | Path,
    stack_bytes: int | None = None,
    environment: dict[str, str] | None = None,
) -> GdbCrash:
    """Runs a program that crashes under gdb.

    Args:
        program: what to run.
        folder: for files.
        arguments: of the program.
        stack_bytes: how large its stack may become.
        environment: variables to set for it.
    """
    document = folder / "crash.json"
    settings = [f"set environment {name}={value}" for name, value in (environment or {}).items()]
    commands = [
        "set debuginfod enabled off",
        "set backtrace past-main on",
        "handle SIGUSR1 nostop noprint pass",
        *settings,
        f"source {SCRIPT}",
    ]
    limit = ["prlimit", f"--stack={stack_bytes}:"] if stack_bytes else []
    done = subprocess.run(
        [
            *limit,
            *("gdb", "-nx", "-batch"),
            *(word for command in commands for word in ("-ex", command)),
            *("--args", str(program), *map(str, arguments)),
        ],
        env={**os.environ, "CRASH_DOCUMENT": str(document), "LC_ALL": "C", "SHELL": "/bin/sh"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert document.exists(), f"{done.stdout}\n{done.stderr}"
    content = json.loads(document.read_text())
    document.unlink()
    frames = tuple(GdbFrame(**frame) for frame in content["frames"])
    return GdbCrash(_record(content), modules_of(content["maps"]), frames)


def modules_of(maps: str) -> tuple[ModuleInfo, ...]:
    """The files in a memory map, as readelf describes them."""
    starts: dict[str, int] = {}
    for line in maps.splitlines():
        words = line.split(maxsplit=5)
        if len(words) == 6 and words[5].startswith("/") and words[5] not in starts:
            starts[words[5]] = int(words[0].partition("-")[0], 16)
    modules: list[ModuleInfo] = []
    for path, start in starts.items():
        segments = _segments(path)
        if segments:
            bias = start - (segments[0].address & -4096)
            modules.append(ModuleInfo(len(modules), path, _build_id(path), bias, segments))
    return tuple(modules)


def _readelf(*options: str) -> str:
    return subprocess.run(["readelf", "--wide", *options], capture_output=True, text=True, check=False).stdout


def _build_id(path: str) -> bytes:
    match = re.search(r"Build ID: ([0-9a-f]+)", _readelf("--notes", path))
    return bytes.fromhex(match[1]) if match else b""


def _segments(path: str) -> tuple[Segment, ...]:
    rows = re.findall(
        r"^ +LOAD +0x(\w+) 0x(\w+) 0x\w+ 0x\w+ 0x(\w+) ([RWE ]+) 0x",
        _readelf("--segments", path),
        re.MULTILINE,
    )
    return tuple(
        Segment(
            int(address, 16),
            int(size, 16),
            int(offset, 16),
            sum(_FLAGS[flag] for flag in flags.replace(" ", "")),
        )
        for offset, address, size, flags in rows
    )


def _record(content: dict[str, object]) -> CrashRecord:
    document: dict[str, object] = content
    code = document["code"]
    memory = document["memory"]
    registers = document["registers"]
    assert isinstance(code, int)
    assert isinstance(memory, list)
    assert isinstance(registers, list)

    def number(name: str) -> int:
        value = document[name]
        assert isinstance(value, int)
        return value

    return CrashRecord(
        thread=0,
        tid=number("tid"),
        thread_name="",
        signal=number("signal"),
        code=code,
        error_number=0,
        fault_address=number("address") if code > 0 else 0,
        sender_pid=number("sender") if code <= 0 else 0,
        sender_user_id=0,
        clock=ClockReading(0, 0, 0),
        registers=tuple(registers),
        flags=0,
        fs_base=0,
        gs_base=0,
        segments=0,
        fxsave=b"",
        trap_number=0,
        trap_error=0,
        memory=tuple(MemoryRange(address, bytes.fromhex(text)) for address, text in memory),
        maps=str(document["maps"]),
        memory_cut=False,
        handled=False,
        exception=None,
        abort_message="",
        incomplete="",
        encoded=b"",
    )
