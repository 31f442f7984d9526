"""Runs pieces of machine code on the processor, from any contents of its registers.

Each piece becomes a function of a shared library that loads all registers, runs the piece, and stores all
registers; its stack pointer is in memory of its own.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# By DWARF number.
GENERAL = ("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16)))
MEMORY_BYTES = 16384

_TEMPLATE = """
    .intel_syntax noprefix
    .text
    .globl piece_{number}, begin_{number}, end_{number}
piece_{number}:
    push rbx; push rbp; push r12; push r13; push r14; push r15
    mov [rip + kept], rsp
    push qword ptr [rip + flags_in]
    popfq
    {load}
begin_{number}:
    {code}
end_{number}:
    {store}
    mov rsp, [rip + kept]
    pushfq
    pop qword ptr [rip + flags_out]
    cld
    pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx
    ret
"""

_DATA = """
    .section .note.GNU-stack,"",@progbits
    .data
    .globl general_in, xmm_in, flags_in, general_out, xmm_out, flags_out, memory
    .balign 64
memory: .fill {size}, 1, 0
general_in: .fill 16, 8, 0
general_out: .fill 16, 8, 0
xmm_in: .fill 32, 8, 0
xmm_out: .fill 32, 8, 0
flags_in: .quad 0
flags_out: .quad 0
kept: .quad 0
"""


@dataclass(frozen=True, slots=True)
class Registers:
    """What the registers hold: general ones by DWARF number, xmm halves by number * 2, + 1 for the upper."""

    general: tuple[int, ...]
    xmm: tuple[int, ...]
    flags: int


class NativeCode:
    """Pieces of machine code that can be run.

    Args:
        pieces: each some lines for the assembler, in Intel's syntax; `memory` is a label of the memory.
        folder: where to build.

    Attributes:
        memory_address: of MEMORY_BYTES that pieces may use.
    """

    def __init__(self, pieces: Sequence[str], folder: Path) -> None:
        load = [f"movdqu xmm{n}, [rip + xmm_in + {16 * n}]" for n in range(16)]
        load += [f"mov {name}, [rip + general_in + {8 * number}]" for number, name in enumerate(GENERAL)]
        store = [f"mov [rip + general_out + {8 * number}], {name}" for number, name in enumerate(GENERAL)]
        store += [f"movdqu [rip + xmm_out + {16 * n}], xmm{n}" for n in range(16)]
        source, library = folder / "pieces.s", folder / "pieces.so"
        parts = [
            _TEMPLATE.format(number=number, load="\n".join(load), store="\n".join(store), code=code)
            for number, code in enumerate(pieces)
        ]
        source.write_text("".join(parts) + _DATA.format(size=MEMORY_BYTES))
        subprocess.run(["gcc", "-shared", "-nostdlib", "-Wl,-Bsymbolic", "-o", library, source], check=True)
        self._library = ctypes.CDLL(str(library))
        self.memory_address = self._address("memory")

    def _address(self, name: str) -> int:
        return ctypes.addressof(ctypes.c_char.in_dll(self._library, name))

    def code(self, number: int) -> tuple[int, bytes]:
        """Returns where a piece is, and its bytes."""
        start = self._address(f"begin_{number}")
        return start, ctypes.string_at(start, self._address(f"end_{number}") - start)

    def read(self, address: int, size: int) -> bytes:
        """Returns what lies in this process's memory."""
        return ctypes.string_at(address, size)

    def run(self, number: int, registers: Registers, memory: bytes) -> tuple[Registers, bytes]:
        """Runs a piece once.

        Returns:
            The registers and the memory afterwards.
        """
        self.fill(memory)
        ctypes.memmove(self._address("general_in"), (ctypes.c_uint64 * 16)(*registers.general), 128)
        ctypes.memmove(self._address("xmm_in"), (ctypes.c_uint64 * 32)(*registers.xmm), 256)
        ctypes.c_uint64.in_dll(self._library, "flags_in").value = registers.flags
        self._library[f"piece_{number}"]()
        after = Registers(
            tuple((ctypes.c_uint64 * 16).in_dll(self._library, "general_out")),
            tuple((ctypes.c_uint64 * 32).in_dll(self._library, "xmm_out")),
            ctypes.c_uint64.in_dll(self._library, "flags_out").value,
        )
        return after, self.read(self.memory_address, MEMORY_BYTES)

    def fill(self, memory: bytes) -> None:
        """Sets the memory."""
        ctypes.memmove(self.memory_address, memory, MEMORY_BYTES)
