"""The addresses that an entry covers.

Format: DWARF 5, sections 2.17.3 and 7.25 (.debug_rnglists); DWARF 4, section 2.17.3 (.debug_ranges).
"""

from __future__ import annotations

from calltrace_collector.symbols.forms import ADDRESS_INDEXES, At, Form
from calltrace_collector.symbols.leb128 import unsigned
from calltrace_collector.symbols.unit import Entry, Unit, Value

Ranges = list[tuple[int, int]]
"""Start and end of each range of addresses; ends are exclusive."""

_MAX_ADDRESS = (1 << 64) - 1


def of_entry(unit: Unit, entry: Entry) -> Ranges:
    """Returns the ranges of addresses that the entry covers, none of them empty.

    Raises:
        IndexError, KeyError, ValueError, SymbolError: the data are damaged.
    """
    ranges = entry.get(At.RANGES)
    if ranges is not None:
        found = _rnglist(unit, ranges) if unit.header.encoding.version >= 5 else _old_list(unit, ranges)
    else:
        low, high = entry.get(At.LOW_PC), entry.get(At.HIGH_PC)
        if low is None or high is None:
            return []
        start = unit.address(low)
        is_address = high.form == Form.ADDR or high.form in ADDRESS_INDEXES
        found = [(start, unit.address(high) if is_address else start + high.number)]
    return [(start, end) for start, end in found if start < end <= _MAX_ADDRESS]


def base_address(unit: Unit) -> int:
    """Returns what the offsets in the unit's lists are added to at first."""
    owner = unit.skeleton or unit
    low = owner.root.get(At.LOW_PC)
    return owner.address(low) if low else 0


def _rnglist(unit: Unit, value: Value) -> Ranges:
    """Reads a list of .debug_rnglists."""
    data = unit.dwarf.whole("rnglists")
    start = value.number
    if value.form == Form.RNGLISTX:
        size = unit.header.encoding.offset_size
        declared = unit.root.get(At.RNGLISTS_BASE)
        # A .dwo file has one table, after its header.
        base = declared.number if declared else 12 if size == 4 else 20
        at = base + start * size
        start = base + int.from_bytes(data[at : at + size], "little")
    unit.dwarf.budget("rnglists").check()
    ranges, end = _parse_rnglist(unit, data, start)
    unit.dwarf.budget("rnglists").spend(end - start)
    return ranges


def _parse_rnglist(unit: Unit, data: bytes, position: int) -> tuple[Ranges, int]:
    """Reads the entries from `position`; returns the ranges, and the position after the list."""
    ranges: Ranges = []
    base = base_address(unit)
    while kind := data[position]:
        position += 1
        if kind in (1, 2, 3):  # DW_RLE_base_addressx, startx_endx, startx_length
            index, position = unsigned(data, position)
            start = unit.indexed_address(index)
            if kind == 1:
                base = start
                continue
            other, position = unsigned(data, position)
            ranges.append((start, unit.indexed_address(other) if kind == 2 else start + other))
        elif kind == 4:  # DW_RLE_offset_pair
            start, position = unsigned(data, position)
            end, position = unsigned(data, position)
            ranges.append((base + start, base + end))
        elif kind in (5, 6, 7):  # DW_RLE_base_address, start_end, start_length
            start = int.from_bytes(data[position : position + 8], "little")
            position += 8
            if kind == 5:
                base = start
            elif kind == 6:
                ranges.append((start, int.from_bytes(data[position : position + 8], "little")))
                position += 8
            else:
                length, position = unsigned(data, position)
                ranges.append((start, start + length))
        else:
            raise ValueError(f"unknown entry {kind} of a list of ranges")
    return ranges, position + 1


def _old_list(unit: Unit, value: Value) -> Ranges:
    """Reads a list of .debug_ranges: pairs of addresses."""
    owner = unit.skeleton or unit
    data = owner.dwarf.whole("ranges")
    start = value.number
    if unit.skeleton:
        base = owner.root.get(At.GNU_RANGES_BASE)
        start += base.number if base else 0
    owner.dwarf.budget("ranges").check()
    ranges, end = _parse_old_list(data, start, base_address(unit))
    owner.dwarf.budget("ranges").spend(end - start)
    return ranges


def _parse_old_list(data: bytes, position: int, base: int) -> tuple[Ranges, int]:
    """Reads the pairs from `position`; returns the ranges, and the position after the list."""
    ranges: Ranges = []
    while True:
        if position + 16 > len(data):
            raise IndexError("a list of ranges has no end")
        low = int.from_bytes(data[position : position + 8], "little")
        high = int.from_bytes(data[position + 8 : position + 16], "little")
        position += 16
        if low == _MAX_ADDRESS:
            base = high
        elif low or high:
            ranges.append((base + low, base + high))
        else:
            return ranges, position
