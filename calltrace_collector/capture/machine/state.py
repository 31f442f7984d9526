"""What is known of a thread between two instructions: its registers, flags and memory, as expressions."""

from __future__ import annotations

from typing import Protocol

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Expression, Value
from calltrace_collector.capture.machine.memory import Memory
from calltrace_collector.capture.machine.registers import CHANGED

IMAGE: Expression = ("image", 0)

Flags = tuple[str, Value, Value, int]
"""What set the flags last: how, its operands (see flags.py), their size in bytes."""

X87 = tuple[str, Value | bytes, int]
"""What an x87 register holds: ("address", address, size) as loaded from there, or ("constant", bytes, 10)."""


class Code(Protocol):
    """The code of a file, in the file's own numbering."""

    def read(self, address: int, size: int) -> bytes:
        """Returns at most so many bytes of code; b"" where there is none."""

    def target_name(self, address: int) -> str | None:
        """Returns the function that starts at the address, by symbol, or that a PLT stub there leads to."""

    def got_name(self, address: int) -> str | None:
        """Returns what the pointer at the address is bound to, if it is one that the linker fills in."""

    def constant(self, address: int, size: int) -> bytes | None:
        """Returns the bytes at an address that never change while a program runs, else None."""


class State:
    """Registers, flags and memory at one moment.

    Attributes:
        code: where constants are looked up.
        general: the general registers, by DWARF number.
        xmm: number * 2, + 1 for the upper half. What lies above 16 bytes is not followed.
        flags: what set them last; None: not known.
        x87: its stack, the topmost last; None: not known.
        memory: what is known of it.
        next: the address behind the instruction.
    """

    __slots__ = ("code", "flags", "general", "memory", "next", "x87", "xmm")

    def __init__(self, code: Code, general: list[Value], xmm: list[Value]) -> None:
        self.code = code
        self.general = general
        self.xmm = xmm
        self.flags: Flags | None = None
        self.x87: list[X87 | None] | None = []
        self.memory = Memory()
        self.next = 0

    def copy(self) -> State:
        """Returns one that changes by itself."""
        other = State(self.code, self.general.copy(), self.xmm.copy())
        other.flags = self.flags
        other.x87 = None if self.x87 is None else self.x87.copy()
        other.memory = self.memory.copy()
        other.next = self.next
        return other

    def load(self, address: Value, size: int) -> Value:
        """Returns 1, 2, 4 or 8 bytes at an address, zero-extended."""
        if address is None:
            return None
        base, offset = ex.split(address)
        if base == IMAGE:
            constant = self.code.constant(offset, size)
            if constant is not None:
                return ex.const(int.from_bytes(constant, "little"))
            if size == 8 and self.code.got_name(offset) is not None:
                return ("load", address, 8)
        return self.memory.load(base, offset, size)

    def store(self, address: Value, size: int, value: Value) -> None:
        """Notes a store of any number of bytes; of 1, 2, 4 or 8 the value may be known."""
        if address is None:
            self.memory.lose()
            return
        base, offset = ex.split(address)
        self.memory.store(base, offset, size, ex.zero(size, value))

    def memory_untouched(self, address: Expression, size: int) -> bool:
        """Tells whether memory at an address still is what it was at first."""
        base, offset = ex.split(address)
        return self.memory.untouched(base, offset, size)

    def call(self) -> None:
        """Notes a call of a function that is not followed: what it may change, counts as changed."""
        for number in CHANGED:
            self.general[number] = None
        self.xmm = [None] * 32
        self.flags = None
        self.x87 = None
        self.memory.lose()
