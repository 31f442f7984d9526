"""The programs of tests/fixtures/crashes, how to compile them, and how to compare their backtraces."""

from __future__ import annotations

import posixpath
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from calltrace_collector.crash.where import is_system
from calltrace_collector.model.crash import CrashFrame
from calltrace_collector.symbols.demangle import demangle
from tests.support.compile import ROOT
from tests.support.gdb_crash import GdbFrame

FOLDER = ROOT / "tests/fixtures/crashes"


@dataclass(frozen=True)
class Crash:
    """A program that crashes.

    Attributes:
        source: its file.
        function: that it crashes in, or that calls what crashes: a function of the program.
        reason: pattern of the sentence that says why.
        arguments: of the program; "LIBRARY" stands for the library's path.
        also: other sources.
        library: source of a library that it loads.
        stack_bytes: how large its stack may become.
        build: one of PLAIN that matters most.
    """

    source: str
    function: str
    reason: str
    arguments: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    library: str | None = None
    stack_bytes: int | None = None
    build: str | None = None

    @property
    def name(self) -> str:
        return "-".join([Path(self.source).stem, *(word for word in self.arguments if word != "LIBRARY")])


CRASHES = (
    Crash(
        "null.c",
        "list_next",
        r"SIGSEGV: (read of|access to) address 0x8 \(NULL page\) in list_next\(\) at null",
    ),
    Crash(
        "wild_strlen.c",
        "measure",
        r"address 0x10 \(NULL page\) in (.*strlen.*|libc\S* at .*), called from measure\(\) at wild",
    ),
    Crash(
        "wild_memcpy.c",
        "store",
        r"wild_memcpy\S*, r--p\) in (.*mem\w+\(\) of \S+|libc\S* at .*), called from store\(\) at wild",
    ),
    Crash(
        "divide.c",
        "ratio",
        r"SIGFPE: integer division by zero in ratio\(\) at divide.c:7, called from average",
    ),
    Crash(
        "aborts.c",
        "give_up",
        r"SIGABRT: abort\(\) called in give_up\(\) at aborts.c:7, called from check\(\)",
    ),
    Crash("asserts.c", "positive", r"SIGABRT: .* in positive\(\) at asserts.c:7, called from main\(\) at"),
    Crash("overflow.c", "descend", r"SIGSEGV: stack overflow in descend\(\) at", stack_bytes=1 << 18),
    Crash(
        "null_call.c", "perform", r"SIGSEGV: jump to address 0x0 \(NULL page\), called from perform\(\) at"
    ),
    Crash(
        "garbage.c",
        "perform",
        r"SIGSEGV: jump to address \w+ \(\S*garbage\S*, rw-p\), called from perform\(\) at",
    ),
    Crash(
        "callback.c",
        "compare",
        r"compare\(\) at callback.c:\d+, called by way of qsort\w*\(\) .* from sort\(\) at",
    ),
    Crash(
        "handler.c",
        "note",
        r"address 0x0 \(NULL page\) in note\(\) at handler.c:10, called from on_signal\(\)",
    ),
    Crash(
        "handler.c",
        "note",
        r"in note\(\) at handler.c:10, called from on_signal\(\)",
        arguments=("alternate",),
    ),
    Crash("inlined.c", "area", r"in read_y\(\) at inlined.c:13, called from height\(\) at inlined.c:23"),
    Crash("thread.c", "touch", r"in touch\(\) at thread.c:7, called from work\(\) at thread.c:13"),
    Crash("plugin_main.c", "plugin_run", r"plugin.c:\d+", arguments=("LIBRARY",), library="plugin.c"),
    Crash("tail_call.c", "last", r"in last\(\) at tail_call.c:6, called from "),
    Crash("constructor.c", "touch", r"in touch\(\) at constructor.c:8"),
    Crash(
        "constructor.c", "after_main", r"called from after_main\(\) at constructor.c:", arguments=("late",)
    ),
    Crash("array.c", "fill", r"in fill\(\) at array.c:9, called from use\(\) at array.c:16"),
    Crash(
        "trap.c",
        "choose",
        r"SIGILL: trap instruction .ud2. in choose\(\) at trap.c:7, called from main\(\) at trap.c:14",
    ),
    Crash("bus.c", "peek", r"SIGBUS: .* in peek\(\) at bus.c:8, called from main\(\) at bus.c:16"),
    Crash(
        "no_frames.c", "begin", r"in at_entry\(\) at no_frames.S:\d+, called from thr", also=("no_frames.S",)
    ),
    Crash(
        "uncaught.cpp",
        "parser::parse",
        r"SIGABRT: .* in parser::parse\(.*\) at uncaught.cpp:11, called from load",
    ),
    Crash(
        "pure.cpp",
        "Shape::announce",
        r"SIGABRT: pure virtual method called in Shape::announce\(\) const at pure",
    ),
    Crash(
        "vector_at.cpp",
        "Table::get",
        r"SIGABRT: .* in Table::get\(.*\) const at vector_at.cpp:9, called from",
    ),
    Crash("method.cpp", "count", r"SIGSEGV: .* in int count<Animal>\(.*\) at method.cpp:12, called from"),
    Crash("rethrow.cpp", "attempt", r"SIGABRT: .* in attempt\(int\) at rethrow.cpp:22, called from main\(\)"),
    Crash(
        "destructor.cpp",
        "Counter::release",
        r"in Counter::release\(\) at destructor.cpp:10, called from Counter",
    ),
    Crash(
        "local.cpp",
        "app::run",
        r"SIGSEGV: .* in .*get.* at local.cpp:13, called from .*open_box.* local.cpp:23",
        build="gcc-O2",
    ),
)

Build = tuple[str, ...]
"""A compiler for C, and options."""

PLAIN: dict[str, Build] = {
    "gcc-O0": ("gcc", "-O0"),
    "gcc-O2": ("gcc", "-O2", "-fomit-frame-pointer"),
    "clang-O0": ("clang", "-O0"),
    "clang-O2": ("clang", "-O2", "-fomit-frame-pointer"),
}
_CXX = {"gcc": "g++", "clang": "clang++"}


def compile_crash(crash: Crash, build: Build, folder: Path) -> tuple[Path, list[str]]:
    """Compiles a program, and its library; returns it, and its arguments."""
    program = folder / crash.name
    _compile(build, [crash.source, *crash.also], program)
    arguments = list(crash.arguments)
    if crash.library:
        library = folder / f"lib{Path(crash.library).stem}.so"
        _compile((*build, "-shared", "-fPIC"), [crash.library], library)
        arguments = [str(library) if word == "LIBRARY" else word for word in arguments]
    return program, arguments


def _compile(build: Build, sources: Sequence[str], output: Path) -> None:
    compiler, *flags = build
    if sources[0].endswith(".cpp"):
        compiler = _CXX[compiler]
    command = [compiler, *flags, "-g", "-pthread", *(str(FOLDER / source) for source in sources)]
    done = subprocess.run([*command, "-o", str(output)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- comparing ---


def differences(
    frames: Sequence[CrashFrame], expected: Sequence[GdbFrame], *, optimized: bool, addresses: bool = True
) -> list[str]:
    """Returns what is different from gdb's backtrace, a line each."""
    frames = list(frames)
    for number, other in enumerate(expected):
        # Of a function that jumped to another, gdb shows the innermost of those that were inlined there.
        while other.type == "other" and number + 1 < len(frames) and frames[number].inlined:
            frames[number : number + 2] = [replace(frames[number + 1], **_shown(frames[number]))]
    found = [
        f"#{number}: {problem}: {frame}, and gdb has {other}"
        for number, (frame, other) in enumerate(zip(frames, expected, strict=False))
        if (problem := _difference(frame, other, optimized=optimized, addresses=addresses))
    ]
    if len(frames) != len(expected):
        found.append(f"{len(frames)} frames, and gdb has {len(expected)}")
    return found


def _shown(frame: CrashFrame) -> dict[str, Any]:
    return {name: getattr(frame, name) for name in ("function", "linkage_name", "file", "line")}


def _difference(frame: CrashFrame, other: GdbFrame, *, optimized: bool, addresses: bool) -> str:
    """Returns what differs; "" if nothing does."""
    if addresses and frame.address != other.address:
        return "address"
    if (frame.is_signal_frame, frame.inlined) != (other.type == "signal", other.type == "inline"):
        return "kind"
    if other.type == "signal":
        return ""
    if not _same_name(frame, other):
        return "name"
    return "" if _same_line(frame, other, optimized=optimized) else "line"


def _same_line(frame: CrashFrame, other: GdbFrame, *, optimized: bool) -> bool:
    if not other.line:
        return frame.line is None
    if posixpath.basename(frame.file or "") != posixpath.basename(other.file or ""):
        return optimized and frame.line == _binutils_line(frame)
    return frame.line == other.line or (optimized and frame.line == _binutils_line(frame))


def _same_name(frame: CrashFrame, other: GdbFrame) -> bool:
    if frame.linkage_name and other.linkage_name and other.linkage_name.startswith("_Z"):
        # Demangled, for of a constructor's variants that are one function, each has a name.
        return [frame.function] == demangle([other.linkage_name])
    if frame.function is None or other.name is None:
        # What is in data has no function's name; gdb names the variable.
        return other.file is None
    ours, theirs = _bare(frame.function), _bare(other.name)
    return ours == theirs or (is_system(frame) and _without_alias(ours) == _without_alias(theirs))


def _bare(name: str) -> str:
    """The name without parameters, template arguments and scopes."""
    while "<" in name and name != (shorter := re.sub(r"<[^<>]*>", "", name)):
        name = shorter
    return name.replace("operator()", "operator").partition("(")[0].rpartition("::")[2].rpartition(" ")[2]


def _without_alias(name: str) -> str:
    """The name without what libc's functions have around it in its own debug information."""
    return name.removeprefix("__GI_").removesuffix("_impl").lstrip("_")


def _binutils_line(frame: CrashFrame) -> int | None:
    """The line of an instruction; where several are for one address, gdb prefers that of a statement."""
    assert frame.module
    assert frame.module_offset is not None
    lines = []
    for offset in (frame.module_offset, frame.module_offset - 1):
        command = ["addr2line", "--inlines", "-e", frame.module, f"{offset:#x}"]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        lines += [int(line) for line in re.findall(r":(\d+)", answer)]
    return frame.line if frame.line in lines else None
