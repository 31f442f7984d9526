"""Bytes that look like a call, jump or branch whose target is told: straight on, or through a slot.

Bytes may look like one and be none; so what is found is all that there is, and possibly more.

Format: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2: call, jmp, jcc.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.section import Section

__all__ = ["CALLS", "DISTANCE_BYTES", "JUMPS", "MAX_ADDRESS", "Branches", "branches", "code_sections"]

DISTANCE_BYTES = 4
"""The last of an instruction."""
MAX_ADDRESS = 1 << 62
"""Where code ends, so that what is added up of addresses stays one."""

_CALL, _JUMP = 0xE8, 0xE9
_TWO_BYTES, _FIRST_BRANCH, _LAST_BRANCH = 0x0F, 0x80, 0x8F
_THROUGH_MEMORY, _CALL_OPERAND, _JUMP_OPERAND = 0xFF, 0x15, 0x25

CALLS, JUMPS = (_CALL, _CALL_OPERAND), (_JUMP, _JUMP_OPERAND)
"""Operations of calls, and of jumps without a condition: straight, and through memory."""


@dataclass(frozen=True, slots=True)
class Branches:
    """Instructions, in the order of their addresses.

    Attributes:
        ends: the addresses behind them, shape (n,).
        targets: the addresses that they lead to, or of the slots that they go through, shape (n,).
        operations: the bytes before their distances, shape (n,).
    """

    ends: NDArray[np.int64]
    targets: NDArray[np.int64]
    operations: NDArray[np.uint8]


def code_sections(elf: ElfFile) -> Iterator[Section]:
    """Yields the sections of code, without those of stubs."""
    for section in elf.sections:
        is_code = section.is_executable and section.stored_size and section.address < MAX_ADDRESS
        if is_code and not section.name.startswith(".plt"):
            yield section


def branches(section: Section) -> tuple[Branches, Branches]:
    """Returns what leads straight to its target, and what leads through a slot of pointers.

    Raises:
        SymbolError: the section cannot be read.
    """
    code = np.frombuffer(section.read_all(), np.uint8)
    operations = code[: max(len(code) - DISTANCE_BYTES, 0)]
    first, second = operations[:-1], operations[1:]
    straight = (operations == _CALL) | (operations == _JUMP)
    straight[1:] |= (first == _TWO_BYTES) & (second >= _FIRST_BRANCH) & (second <= _LAST_BRANCH)
    through = (first == _THROUGH_MEMORY) & ((second == _CALL_OPERAND) | (second == _JUMP_OPERAND))
    return (
        _leading(code, np.flatnonzero(straight) + 1, section.address),
        _leading(code, np.flatnonzero(through) + 2, section.address),
    )


def _leading(code: NDArray[np.uint8], places: NDArray[np.intp], address: int) -> Branches:
    """Returns the instructions whose distances are at `places`."""
    parts = [code[places + byte].astype(np.uint32) << np.uint32(8 * byte) for byte in range(DISTANCE_BYTES)]
    distances = (parts[0] | parts[1] | parts[2] | parts[3]).view(np.int32).astype(np.int64)
    ends = places.astype(np.int64) + (address + DISTANCE_BYTES)
    return Branches(ends, ends + distances, code[places - 1])
