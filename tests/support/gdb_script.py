"""Runs in gdb: starts the program, and writes what it crashed with and gdb's backtrace as JSON."""

import json
import os
from pathlib import Path
from typing import Any

import gdb  # type: ignore[import-untyped]

REGISTERS = ["rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16)), "rip"]
MASK = (1 << 64) - 1
MOST_BYTES = 16 << 20
FRAME_TYPES = {gdb.NORMAL_FRAME: "normal", gdb.INLINE_FRAME: "inline", gdb.SIGTRAMP_FRAME: "signal"}


def number(expression: str) -> int:
    return int(gdb.parse_and_eval(expression)) & MASK


def memory(maps: str) -> list[tuple[int, str]]:
    """The stack from the red zone on, the main thread's stack if it is another, and the kernel's library."""
    low = number("$rsp") - 128
    parts = []
    for line in maps.splitlines():
        bounds, *rest = line.split()
        start, end = (int(bound, 16) for bound in bounds.split("-"))
        is_stack = start <= low + 128 < end
        if is_stack or rest[-1] in ("[stack]", "[vdso]"):
            first = max(start, low) if is_stack else start
            size = min(end - first, MOST_BYTES)
            parts.append((first, bytes(gdb.selected_inferior().read_memory(first, size)).hex()))
    return parts


def backtrace() -> list[dict[str, Any]]:
    frames = []
    frame = gdb.newest_frame()
    while frame is not None:
        sal, function = frame.find_sal(), frame.function()
        frames.append(
            {
                "address": frame.pc(),
                "name": frame.name(),
                "linkage_name": function.linkage_name if function else None,
                "type": FRAME_TYPES.get(frame.type(), "other"),
                "file": sal.symtab.fullname() if sal.symtab else None,
                "line": sal.line if sal.symtab else None,
                "stack_pointer": int(frame.read_register("rsp")) & MASK,
            }
        )
        frame = frame.older()
    return frames


def main() -> None:
    gdb.execute("run")
    if not gdb.selected_inferior().pid:
        raise SystemExit("the program did not crash")
    maps = Path(f"/proc/{gdb.selected_inferior().pid}/maps").read_text()
    fields = "$_siginfo._sifields"
    document = {
        "signal": number("$_siginfo.si_signo"),
        "code": int(gdb.parse_and_eval("$_siginfo.si_code")),
        "address": number(f"{fields}._sigfault.si_addr"),
        "sender": number(f"{fields}._kill.si_pid"),
        "pid": gdb.selected_inferior().pid,
        "tid": gdb.selected_thread().ptid[1],
        "registers": [number(f"${name}") for name in REGISTERS],
        "maps": maps,
        "memory": memory(maps),
        "frames": backtrace(),
    }
    Path(os.environ["CRASH_DOCUMENT"]).write_text(json.dumps(document))
    gdb.execute("kill")


main()
