"""The debugging information of one file: its sections, and the units that it is made of.

Format: DWARF 2 to 5; section 7.5.1 of DWARF 5 for the headers of units.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from functools import cached_property

from calltrace_collector.errors import SymbolError
from calltrace_collector.symbols import abbrev
from calltrace_collector.symbols.abbrev import Abbreviation
from calltrace_collector.symbols.budget import Budget
from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.file import damage_of
from calltrace_collector.symbols.forms import Encoding, encoding_of
from calltrace_collector.symbols.section import Section
from calltrace_collector.symbols.unit import Unit, UnitHeader, UnitKind

_KEPT_BYTES = 64 << 20
_HEADER_BYTES = 40  # the longest header, of a type unit in 64-bit DWARF
_FIRST_KIND_VERSION = 5


class DwarfFile:
    """DWARF sections, read as they are needed.

    Args:
        elf: the file that holds them.
        suffix: ".dwo" for the part that -gsplit-dwarf puts into files of its own.

    Attributes:
        path: the file.
        problems: what could not be read, a line each.
    """

    def __init__(self, elf: ElfFile, suffix: str = "") -> None:
        self.path = elf.path
        self.suffix = suffix
        self.problems: list[str] = []
        self._elf = elf
        self._abbreviations: dict[tuple[int, Encoding], dict[int, Abbreviation]] = {}
        self._contents: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._kept_bytes = 0
        self._whole: dict[str, bytes] = {}
        self._budgets: dict[str, Budget] = {}

    def section(self, name: str) -> Section | None:
        """Returns the section ".debug_NAME" (".debug_NAME.dwo"), or None."""
        return self._elf.section(f".debug_{name}{self.suffix}")

    def need(self, name: str) -> Section:
        """Returns the section; raises ValueError if there is none."""
        section = self.section(name)
        if section is None:
            raise ValueError(f"there is no section .debug_{name}{self.suffix}")
        return section

    def whole(self, name: str) -> bytes:
        """Returns all of a section, which is kept; raises ValueError if there is none."""
        if name not in self._whole:
            self._whole[name] = self.need(name).read_all()
        return self._whole[name]

    def budget(self, name: str) -> Budget:
        """Returns how much of the section may still be parsed."""
        if name not in self._budgets:
            self._budgets[name] = Budget(f".debug_{name}{self.suffix}", self.need(name).size)
        return self._budgets[name]

    def abbreviations(self, offset: int, encoding: Encoding) -> dict[int, Abbreviation]:
        """Returns the table of abbreviations at `offset`."""
        key = (offset, encoding)
        if key not in self._abbreviations:
            self.budget("abbrev").check()
            table, end = abbrev.parse(self.whole("abbrev"), offset, encoding)
            self.budget("abbrev").spend(end - offset)
            self._abbreviations[key] = table
        return self._abbreviations[key]

    def content(self, header: UnitHeader) -> bytes:
        """Returns the unit's bytes; those of the units used last are kept."""
        key = header.section, header.offset
        content = self._contents.get(key)
        if content is None:
            content = self.need(header.section).read(header.offset, header.size)
            self._contents[key] = content
            self._kept_bytes += len(content)
            while len(self._contents) > 1 and self._kept_bytes > _KEPT_BYTES:
                self._kept_bytes -= len(self._contents.popitem(last=False)[1])
        self._contents.move_to_end(key)
        return content

    def release(self) -> None:
        """Forgets what can be read again."""
        self._contents.clear()
        self._kept_bytes = 0
        self._whole.clear()
        for section in self._elf.sections:
            section.release()

    @cached_property
    def units(self) -> list[Unit]:
        """All units, in order; those before the first damaged header, if one is damaged."""
        return self._units_of("info")

    def _units_of(self, name: str) -> list[Unit]:
        units: list[Unit] = []
        section = self.section(name)
        if section is None:
            return units
        offset = 0
        try:
            with damage_of(section.label):
                while offset < section.size:
                    header = _read_header(section, offset, name)
                    units.append(Unit(self, header))
                    offset += header.size
        except SymbolError as error:
            self.problems.append(str(error))
        return units

    def type_of_signature(self, signature: int) -> tuple[Unit, int] | None:
        """Returns the type of a type unit: its unit and its position there; None if there is none."""
        return self._signatures.get(signature)

    @cached_property
    def _signatures(self) -> dict[int, tuple[Unit, int]]:
        units = [*self.units, *self._units_of("types")]
        return {
            unit.header.signature: (unit, unit.header.type_position)
            for unit in units
            if unit.header.signature is not None
        }

    def unit_at(self, offset: int) -> Unit | None:
        """Returns the unit that the offset in .debug_info is in."""
        index = bisect_right(self.units, offset, key=lambda unit: unit.header.offset) - 1
        if index < 0 or offset >= self.units[index].header.offset + self.units[index].header.size:
            return None
        return self.units[index]


def _read_header(info: Section, offset: int, name: str) -> UnitHeader:
    """Reads the header at `offset`; raises ValueError or IndexError."""
    data = info.read(offset, min(_HEADER_BYTES, info.size - offset))
    length, position, offset_size = int.from_bytes(data[:4], "little"), 4, 4
    if length == 0xFFFFFFFF:
        length, position, offset_size = int.from_bytes(data[4:12], "little"), 12, 8
    size = position + length
    if size > info.size - offset:
        raise ValueError(f"the unit at {offset:#x} is longer than the section")
    version = int.from_bytes(data[position : position + 2], "little")
    position += 2
    if not 2 <= version <= 5:
        raise ValueError(f"the unit at {offset:#x} is of version {version}")
    kind = UnitKind.TYPE if name == "types" else UnitKind.COMPILE
    if version >= _FIRST_KIND_VERSION:
        kind = UnitKind(data[position])
        address_size = data[position + 1]
        abbreviations = int.from_bytes(data[position + 2 : position + 2 + offset_size], "little")
        position += 2 + offset_size
    else:
        abbreviations = int.from_bytes(data[position : position + offset_size], "little")
        address_size = data[position + offset_size]
        position += offset_size + 1
    if address_size != 8:
        raise ValueError(f"the unit at {offset:#x} has addresses of {address_size} bytes")
    split_id = None
    if kind in (UnitKind.SKELETON, UnitKind.SPLIT_COMPILE):
        split_id = int.from_bytes(data[position : position + 8], "little")
        position += 8
    signature, type_position = None, 0
    if kind in (UnitKind.TYPE, UnitKind.SPLIT_TYPE):
        signature = int.from_bytes(data[position : position + 8], "little")
        type_position = int.from_bytes(data[position + 8 : position + 8 + offset_size], "little")
        position += 8 + offset_size
    if position > size:
        raise ValueError(f"the unit at {offset:#x} is shorter than its header")
    return UnitHeader(
        offset,
        size,
        position,
        encoding_of(version, offset_size),
        abbreviations,
        kind,
        split_id,
        name,
        signature,
        type_position,
    )
