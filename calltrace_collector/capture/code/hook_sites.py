"""Where a file's code calls the hooks.

The bytes of all code are searched for calls and jumps that lead to a hook's stub or go through its slot. Such
bytes may stand in the middle of other instructions. This does no harm: the place is then no return address
of a hook, since a call of one that ended there would be these very bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from calltrace_collector.capture.code.branches import (
    CALLS,
    JUMPS,
    MAX_ADDRESS,
    Branches,
    branches,
    code_sections,
)
from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.probe import ENTRY_HOOK, HOOKS

__all__ = ["HookSite", "hook_sites"]


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
    of_stubs, of_slots = _hooks(stubs), _hooks(slots)
    found: list[HookSite] = []
    for section in code_sections(elf):
        straight, through = branches(section)
        found += [*_leading_to(of_stubs, straight), *_leading_to(of_slots, through)]
    return sorted(found, key=lambda site: site.return_offset)


def _hooks(names: Mapping[int, str]) -> dict[int, bool]:
    """Returns the addresses of hooks; of each, whether it is the entry hook."""
    return {
        address: name == ENTRY_HOOK
        for address, name in names.items()
        if name in HOOKS and 0 <= address < MAX_ADDRESS
    }


def _leading_to(targets: Mapping[int, bool], found: Branches) -> list[HookSite]:
    """Returns those of the calls and jumps that lead to targets."""
    wanted = np.isin(found.operations, CALLS + JUMPS)
    wanted &= np.isin(found.targets, np.array(list(targets), np.int64))
    rows = zip(
        found.ends[wanted].tolist(),
        found.targets[wanted].tolist(),
        np.isin(found.operations[wanted], JUMPS).tolist(),
        strict=True,
    )
    return [HookSite(end, targets[target], is_jump) for end, target, is_jump in rows]
