"""The stubs through which functions of other modules are called: .plt, .plt.sec, .plt.got.

A stub is `jmp *slot(%rip)`, perhaps behind `endbr64` or `bnd`. Format: x86-64 psABI, "Procedure Linkage
Table".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from calltrace_collector.capture.code.relocations import Relocations
from calltrace_collector.symbols.elf import ElfFile

_JUMP = re.compile(rb"(?:\xf3\x0f\x1e\xfa)?(?:\xf2)?(?=\xff\x25)", re.DOTALL)
_JUMP_BYTES = 6


def stubs(elf: ElfFile, relocations: Relocations) -> dict[int, str]:
    """Returns which function each stub leads to, by the stub's address; a stub has one before each prefix.

    Raises:
        SymbolError: the file is damaged.
    """
    found: dict[int, str] = {}
    for section in elf.sections:
        if section.is_executable and section.name.startswith(".plt") and section.stored_size:
            for starts, slot in _jumps(section.read_all(), section.address):
                name = relocations.name_at(slot)
                if name is not None:
                    found.update(dict.fromkeys(starts, name))
    return found


def _jumps(code: bytes, address: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """Gives of each jump through memory where it may be entered, and the address that it reads."""
    for match in _JUMP.finditer(code):
        jump, end = match.end(), match.end() + _JUMP_BYTES
        if end <= len(code):
            distance = int.from_bytes(code[jump + 2 : end], "little", signed=True)
            yield (address + match.start(), address + jump), address + end + distance
