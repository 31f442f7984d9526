"""Split debug information: units whose entries the compiler put into .dwo files (-gsplit-dwarf).

Format: DWARF 5, section 7.3.2, and GNU's extension of DWARF 4 that it comes from.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager

from calltrace_collector.symbols.dwarf import DwarfFile
from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.forms import At
from calltrace_collector.symbols.unit import Unit, UnitKind

_KINDS = (UnitKind.COMPILE, UnitKind.SPLIT_COMPILE)


@contextmanager
def full_unit(unit: Unit) -> Iterator[Unit]:
    """Gives the unit that holds the entries: the one in the .dwo file, if `unit` stands for one.

    Raises:
        IndexError, KeyError, ValueError, SymbolError: the .dwo file is missing, damaged, or of another
            compilation.
    """
    name = unit.text(unit.root.get(At.DWO_NAME) or unit.root.get(At.GNU_DWO_NAME))
    if name is None:
        yield unit
        return
    path = posixpath.join(unit.compilation_directory or "", name)
    wanted = _identification(unit)
    with ElfFile(path, relocatable=True) as elf:
        dwarf = DwarfFile(elf, ".dwo")
        for candidate in dwarf.units:
            full = Unit(dwarf, candidate.header, skeleton=unit)
            if full.header.kind in _KINDS and _identification(full) == wanted:
                yield full
                return
    raise ValueError(f"{path} is of another compilation; rebuild it")


def _identification(unit: Unit) -> int | None:
    """Returns what a skeleton has in common with the unit it stands for."""
    if unit.header.split_id is not None:
        return unit.header.split_id
    value = unit.root.get(At.GNU_DWO_ID)
    return value.number if value else None
