"""Where a file's code calls the hooks.

The bytes of all code are searched for calls and jumps that lead to a hook's stub or go through its slot. Such
bytes may stand in the middle of other instructions. This does no harm: the place is then no return address
of a hook, since a call of one that ended there would be these very bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.probe import ENTRY_HOOK, HOOKS
from calltrace_collector.symbols.section import Section

__all__ = ["HookSite", "hook_sites"]

_CALL, _JUMP = 0xE8, 0xE9
_THROUGH_MEMORY, _CALL_OPERAND, _JUMP_OPERAND = 0xFF, 0x15, 0x25
_DISTANCE_BYTES = 4
_MAX_ADDRESS = 1 << 62


@dataclass(frozen=True, slots=True)
class HookSite:
    """A call of a hook.

    Attributes:
        return_offset: behind the instruction, in the file's own numbering.
        is_entry: it calls the entry hook, else the exit hook.
        is_jump: it jumps there: the hook returns to the function's caller.
    """

    return_offset: int
    is_entry: bool
    is_jump: bool


def hook_sites(elf: ElfFile, stubs: Mapping[int, str], slots: Mapping[int, str]) -> list[HookSite]:
    """Finds the calls of hooks.

    Args:
        elf: the file.
        stubs: functions' names by their stubs' addresses.
        slots: names by the addresses of the slots that are bound to them.

    Returns:
        The sites, by return offset.

    Raises:
        SymbolError: the file is damaged.
    """
    found = [
        site
        for section in elf.sections
        if section.is_executable and section.stored_size and not section.name.startswith(".plt")
        if section.address < _MAX_ADDRESS
        for site in _in_section(section, _hooks(stubs), _hooks(slots))
    ]
    return sorted(found, key=lambda site: site.return_offset)


def _hooks(names: Mapping[int, str]) -> dict[int, bool]:
    """Returns the addresses of hooks; of each, whether it is the entry hook."""
    return {
        address: name == ENTRY_HOOK
        for address, name in names.items()
        if name in HOOKS and 0 <= address < _MAX_ADDRESS
    }


def _in_section(section: Section, stubs: dict[int, bool], slots: dict[int, bool]) -> list[HookSite]:
    code = np.frombuffer(section.read_all(), np.uint8)
    last = len(code) - _DISTANCE_BYTES
    if last <= 0:
        return []
    direct = np.flatnonzero((code[:last] == _CALL) | (code[:last] == _JUMP)) + 1
    operands = (code[1:last] == _CALL_OPERAND) | (code[1:last] == _JUMP_OPERAND)
    indirect = np.flatnonzero((code[: last - 1] == _THROUGH_MEMORY) & operands) + 2
    return [
        *_leading_to(stubs, code, direct, section.address, _JUMP),
        *_leading_to(slots, code, indirect, section.address, _JUMP_OPERAND),
    ]


def _leading_to(
    targets: dict[int, bool], code: NDArray[np.uint8], places: NDArray[np.int64], address: int, jump: int
) -> list[HookSite]:
    """Returns those of the distances at `places` that lead to targets."""
    parts = [code[places + byte].astype(np.uint32) << np.uint32(8 * byte) for byte in range(_DISTANCE_BYTES)]
    distances = (parts[0] | parts[1] | parts[2] | parts[3]).view(np.int32).astype(np.int64)
    ends = places + _DISTANCE_BYTES + address
    fitting = np.isin(ends + distances, np.array(list(targets), np.int64))
    found = zip(
        ends[fitting].tolist(),
        (ends + distances)[fitting].tolist(),
        (code[places[fitting] - 1] == jump).tolist(),
        strict=True,
    )
    return [HookSite(end, targets[target], is_jump) for end, target, is_jump in found]
