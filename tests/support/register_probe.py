"""Calls compiled functions with given contents of all registers, and tells what their hooks saw.

The library is compiled with instrumentation; its hooks are those of register_probe.S.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.native_code import Registers

HERE = Path(__file__).parent
STACK_WORDS = 32
SNAPSHOT_WORDS = 600
_EVENT_WORDS = 3 + 16 + 32 + SNAPSHOT_WORDS


@dataclass(frozen=True, slots=True)
class Event:
    """A call of a hook: where from, and everything as it was.

    Attributes:
        stack: from the stack pointer on.
    """

    is_entry: bool
    function: int
    return_address: int
    registers: Registers
    stack: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """What happened in a call.

    Attributes:
        entry_stack: address of the return address.
        stack_arguments: what lay above it.
        x87: what st(0) held; b"" unless asked for.
    """

    before: Registers
    entry_stack: int
    stack_arguments: bytes
    events: list[Event]
    after: Registers
    x87: bytes


class ProbedLibrary:
    """A library of functions to call.

    Args:
        compiler: "gcc" or "clang".
        flags: for the functions; the probe itself is always compiled in the same way.
        text: the functions, in C.
        folder: where to build.

    Attributes:
        path: the library.
        flags: it was compiled with.
        offsets: of all symbols, in the file's own numbering.
        load_bias: to be added to them.
        room: address of memory for a result.
    """

    def __init__(self, compiler: str, flags: Sequence[str], text: str, folder: Path) -> None:
        source, self.path = folder / "functions.c", folder / "functions.so"
        source.write_text(text)
        self.flags = flags
        common = [compiler, "-w", "-g", "-fPIC", "-c"]
        objects = [folder / f"{name}.o" for name in ("functions", "probe", "hooks")]
        link = [flag for flag in flags if flag == "--coverage"]
        commands: list[list[str | Path]] = [
            [*common, *flags, "-finstrument-functions", "-o", folder / "functions.o", source],
            ["gcc", "-O2", "-fPIC", "-c", "-o", folder / "probe.o", HERE / "register_probe.c"],
            ["gcc", "-c", "-o", folder / "hooks.o", HERE / "register_probe.S"],
            [compiler, "-shared", "-Wl,-Bsymbolic", *link, "-o", self.path, *objects],
        ]
        for command in commands:
            subprocess.run(command, check=True)
        self._library = ctypes.CDLL(str(self.path))
        symbols = subprocess.run(["nm", self.path], check=True, capture_output=True, text=True).stdout
        defined = (line.split() for line in symbols.splitlines() if not line.startswith(" "))
        self.offsets = {name: int(offset, 16) for offset, _, name in defined}
        self.room = self._address("room")
        self.load_bias = self._address("general_in") - self.offsets["general_in"]

    def _address(self, name: str) -> int:
        return ctypes.addressof(ctypes.c_char.in_dll(self._library, name))

    def _words(self, name: str, count: int, start: int = 0) -> tuple[int, ...]:
        return tuple((ctypes.c_uint64 * count).from_address(self._address(name) + 8 * start))

    def _fill(self, name: str, words: Sequence[int]) -> None:
        (ctypes.c_uint64 * len(words)).from_address(self._address(name))[:] = list(words)

    def call(self, name: str, registers: Registers, stack: Sequence[int], *, x87: bool) -> Call:
        """Calls a function; the stack pointer in `registers` is ignored.

        Args:
            name: the function.
            registers: what they hold on entry.
            stack: STACK_WORDS words, where arguments on the stack are.
            x87: the function returns a long double.
        """
        self._library.prepare()
        self._fill("general_in", registers.general)
        self._fill("xmm_in", registers.xmm)
        self._fill("stack_in", stack)
        ctypes.c_uint8.in_dll(self._library, "returns_x87").value = x87
        (start,) = self._words("stack_start", 1)
        self._library.call_with(ctypes.c_void_p(self.load_bias + self.offsets[name]))
        (count,) = self._words("event_count", 1)
        after = Registers(self._words("general_out", 16), self._words("xmm_out", 32), 0)
        value = ctypes.string_at(self._address("x87_out"), 10) if x87 else b""
        events = [self._event(number) for number in range(count)]
        arguments = b"".join(word.to_bytes(8, "little") for word in stack)
        return Call(registers, start - 8, arguments, events, after, value)

    def _event(self, number: int) -> Event:
        words = self._words("events", _EVENT_WORDS, number * _EVENT_WORDS)
        kind, function, return_address, *rest = words
        registers = Registers(tuple(rest[:16]), tuple(rest[16:48]), 0)
        stack = b"".join(word.to_bytes(8, "little") for word in rest[48:])
        return Event(kind == 1, function, return_address, registers, stack)

    @staticmethod
    def read(event: Event, address: int, size: int) -> bytes:
        """Returns what lay on the stack when a hook was called; elsewhere, what lies there now."""
        offset = address - event.registers.general[7]
        if 0 <= offset <= len(event.stack) - size:
            return event.stack[offset : offset + size]
        return ctypes.string_at(address, size)
