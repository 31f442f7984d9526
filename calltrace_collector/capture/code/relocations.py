"""What the dynamic linker fills in: which names the slots of a global offset table are bound to.

Format: System V gABI, "Relocation"; x86-64 psABI, "Relocation Types".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.file import damage_of
from calltrace_collector.symbols.section import Section

_SECTIONS = (".rela.dyn", ".rela.plt")
_GLOB_DAT, _JUMP_SLOT = 6, 7
_MAX_NAME_BYTES = 1 << 16
_LONGEST_BYTES = 16  # that a relocation changes

_RELA = np.dtype([("offset", "<u8"), ("kind", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])
_SYMBOL = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)


class Relocations:
    """The dynamic relocations of a file.

    Raises:
        SymbolError: they are damaged.
    """

    def __init__(self, elf: ElfFile) -> None:
        self._slots: dict[int, tuple[Section, int]] = {}
        offsets: list[NDArray[np.uint64]] = []
        with damage_of(f"{elf.path}: relocations"):
            for name in _SECTIONS:
                section = elf.section(name)
                if section is not None:
                    offsets.append(self._read(elf, section))
        self._offsets = np.sort(np.concatenate([np.empty(0, np.uint64), *offsets]))

    def name_at(self, address: int) -> str | None:
        """Returns the name that the slot at an address is bound to; None if it is no such slot."""
        slot = self._slots.get(address)
        return None if slot is None else slot[0].read_string(slot[1], _MAX_NAME_BYTES)

    def slots_of(self, names: frozenset[str]) -> dict[int, str]:
        """Returns the slots that are bound to one of the names, by address."""
        found = {address: self.name_at(address) for address in self._slots}
        return {address: name for address, name in found.items() if name in names}

    def touches(self, address: int, size: int) -> bool:
        """Tells whether the dynamic linker may change one of the bytes from an address on."""
        first = np.searchsorted(self._offsets, np.uint64(max(address - _LONGEST_BYTES, 0)), side="right")
        return bool(first < len(self._offsets) and self._offsets[first] < address + size)

    def _read(self, elf: ElfFile, section: Section) -> NDArray[np.uint64]:
        count = section.size // _RELA.itemsize
        rows = np.frombuffer(section.read(0, count * _RELA.itemsize), _RELA)
        symbols = elf.sections[section.link]
        strings = elf.sections[symbols.link]
        names = np.frombuffer(symbols.read(0, symbols.size // _SYMBOL.itemsize * _SYMBOL.itemsize), _SYMBOL)[
            "name"
        ]
        bound = rows[np.isin(rows["kind"], (_GLOB_DAT, _JUMP_SLOT)) & (rows["symbol"] < len(names))]
        for address, symbol in zip(bound["offset"].tolist(), bound["symbol"].tolist(), strict=True):
            self._slots[address] = strings, int(names[symbol])
        return rows["offset"].astype(np.uint64)
