"""Which code calls or jumps to a function by name: directly, through a stub, or through its slot.

Bytes may look like a call and be none; so what is found is all that there is, and possibly more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.capture.code.file_code import FileCode
from calltrace_collector.symbols.section import Section

__all__ = ["DirectCalls"]

_DISTANCE_BYTES = 4
_CALL, _JUMP = 0xE8, 0xE9
_TWO_BYTES, _FIRST_BRANCH, _LAST_BRANCH = 0x0F, 0x80, 0x8F
_THROUGH_MEMORY, _CALL_OPERAND, _JUMP_OPERAND = 0xFF, 0x15, 0x25
_MAX_ADDRESS = (1 << 62) - 1

_Places = NDArray[np.int64]


class DirectCalls:
    """The calls, jumps and branches of a program or shared library that say where they lead.

    Args:
        code: of the file.

    Raises:
        SymbolError: the file is damaged.
    """

    def __init__(self, code: FileCode) -> None:
        found = [
            _in_section(section)
            for section in code.elf.sections
            if section.is_executable and section.stored_size and not section.name.startswith(".plt")
            if section.address < _MAX_ADDRESS
        ]
        nothing = np.empty((0, 2), np.int64)
        direct = np.concatenate([nothing, *(one for one, _ in found)])
        indirect = np.concatenate([nothing, *(one for _, one in found)])
        self._direct = direct[np.argsort(direct[:, 1], kind="stable")]
        self._named: defaultdict[str, list[int]] = defaultdict(list)
        for source, stub in direct[np.isin(direct[:, 1], np.array(list(code.stubs), np.int64))].tolist():
            self._named[code.stubs[stub]].append(source)
        for source, slot in indirect.tolist():
            name = code.got_name(slot)
            if name is not None:
                self._named[name].append(source)

    def sources(self, function: int, names: Iterable[str]) -> NDArray[np.uint64]:
        """Returns where a function is called or jumped to.

        Args:
            function: its first address.
            names: of its symbols, by which stubs and slots lead to it.
        """
        first, last = np.searchsorted(self._direct[:, 1], (function, function + 1))
        named = [source for name in names for source in self._named.get(name, ())]
        return np.concatenate([self._direct[first:last, 0], np.array(named, np.int64)]).astype(np.uint64)


def _in_section(section: Section) -> tuple[_Places, _Places]:
    """Returns the sources and targets of what leads straight on, and of what leads through a slot."""
    code = np.frombuffer(section.read_all(), np.uint8)
    last = len(code) - _DISTANCE_BYTES
    if last <= 1:
        return np.empty((0, 2), np.int64), np.empty((0, 2), np.int64)
    second = code[1 : last + 1]
    straight = (code[:last] == _CALL) | (code[:last] == _JUMP)
    # The last byte of a branch's operation stands where that of a call does.
    straight[1:] |= (
        (code[: last - 1] == _TWO_BYTES) & (code[1:last] >= _FIRST_BRANCH) & (code[1:last] <= _LAST_BRANCH)
    )
    through = (code[:last] == _THROUGH_MEMORY) & ((second == _CALL_OPERAND) | (second == _JUMP_OPERAND))
    through[last - 1] = False
    return (
        _leading(code, np.flatnonzero(straight) + 1, section.address),
        _leading(code, np.flatnonzero(through) + 2, section.address),
    )


def _leading(code: NDArray[np.uint8], places: NDArray[np.intp], address: int) -> _Places:
    """Returns sources, and what they lead to, given where their distances are."""
    parts = [code[places + byte].astype(np.uint32) << np.uint32(8 * byte) for byte in range(_DISTANCE_BYTES)]
    distances = (parts[0] | parts[1] | parts[2] | parts[3]).view(np.int32).astype(np.int64)
    sources = places.astype(np.int64) + address
    return np.stack([sources, sources + _DISTANCE_BYTES + distances], axis=1)
