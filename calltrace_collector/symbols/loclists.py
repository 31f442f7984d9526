"""Where a variable is while an instruction runs.

Format: DWARF 5, sections 2.6 and 7.7.3 (.debug_loclists), DWARF 4, section 2.6.2 (.debug_loc), and GNU's
views of locations, which say what else happens at an address.
"""

from __future__ import annotations

from collections.abc import Iterator

from calltrace_collector.symbols.forms import At, Form
from calltrace_collector.symbols.leb128 import unsigned
from calltrace_collector.symbols.ranges import base_address
from calltrace_collector.symbols.unit import Unit, Value

_BLOCKS = frozenset({Form.EXPRLOC, Form.BLOCK, Form.BLOCK1, Form.BLOCK2, Form.BLOCK4})
_MAX_ADDRESS = (1 << 64) - 1
_EVERYWHERE = 0, _MAX_ADDRESS
_MAX_LENGTH = 1 << 16
_FIRST_LOCLISTS_VERSION = 5


def is_list(value: Value) -> bool:
    """Tells whether the location depends on the instruction."""
    return value.form not in _BLOCKS


def location_at(unit: Unit, value: Value, address: int) -> bytes | None:
    """Returns the expression that says where a variable is when an instruction is about to run.

    Args:
        unit: of the variable's entry.
        value: of DW_AT_location.
        address: of the instruction.

    Returns:
        The expression; None if the variable is nowhere then.

    Raises:
        IndexError, KeyError, ValueError, SymbolError: the data are damaged, or of a kind that is not read.
    """
    default: bytes | None = None
    for start, end, expression in locations(unit, value):
        if start <= address < end:
            if (start, end) != _EVERYWHERE:
                return expression
            default = expression
    return default


def locations(unit: Unit, value: Value) -> Iterator[tuple[int, int, bytes]]:
    """Yields all that is said of where a variable is; as location_at() does otherwise.

    Yields:
        The first address, the first one behind it, and the expression; the one that holds where nothing
        else does has all addresses.
    """
    if not is_list(value):
        if isinstance(value.raw, bytes):
            yield *_EVERYWHERE, value.raw
    elif unit.header.encoding.version >= _FIRST_LOCLISTS_VERSION:
        yield from _in_loclist(unit, _loclist_start(unit, value))
    elif unit.skeleton:
        raise ValueError("lists of locations of split DWARF 4 are not read")
    else:
        yield from _in_old_list(unit, value.number)


def _loclist_start(unit: Unit, value: Value) -> int:
    if value.form != Form.LOCLISTX:
        return value.number
    size = unit.header.encoding.offset_size
    declared = unit.root.get(At.LOCLISTS_BASE)
    # A .dwo file has one table, after its header.
    base = declared.number if declared else 12 if size == 4 else 20
    at = base + value.number * size
    table = unit.dwarf.whole("loclists")[at : at + size]
    if len(table) < size:
        raise IndexError(f"there is no list of locations {value.number}")
    return base + int.from_bytes(table, "little")


def _in_loclist(unit: Unit, position: int) -> Iterator[tuple[int, int, bytes]]:
    data = unit.dwarf.whole("loclists")
    base = base_address(unit)
    while kind := data[position]:
        position += 1
        if kind == 9:  # DW_LLE_GNU_view_pair
            _, position = unsigned(data, position)
            _, position = unsigned(data, position)
            continue
        if kind in (1, 6):  # DW_LLE_base_addressx, base_address
            base, position = _address(unit, data, position, indexed=kind == 1)
            continue
        if kind == 5:  # DW_LLE_default_location
            expression, position = _expression(data, position)
            yield *_EVERYWHERE, expression
            continue
        start, end, position = _bounds(unit, data, position, kind, base)
        expression, position = _expression(data, position)
        yield start, end, expression


def _bounds(unit: Unit, data: bytes, position: int, kind: int, base: int) -> tuple[int, int, int]:
    """Reads the addresses of an entry; returns them, and the position after them."""
    if kind == 4:  # DW_LLE_offset_pair
        low, position = unsigned(data, position)
        high, position = unsigned(data, position)
        return base + low, base + high, position
    if kind in (2, 7):  # DW_LLE_startx_endx, start_end
        start, position = _address(unit, data, position, indexed=kind == 2)
        end, position = _address(unit, data, position, indexed=kind == 2)
        return start, end, position
    if kind in (3, 8):  # DW_LLE_startx_length, start_length
        start, position = _address(unit, data, position, indexed=kind == 3)
        length, position = unsigned(data, position)
        return start, start + length, position
    raise ValueError(f"unknown entry {kind} of a list of locations")


def _address(unit: Unit, data: bytes, position: int, *, indexed: bool) -> tuple[int, int]:
    if indexed:
        index, position = unsigned(data, position)
        return unit.indexed_address(index), position
    return int.from_bytes(data[position : position + 8], "little"), position + 8


def _expression(data: bytes, position: int) -> tuple[bytes, int]:
    length, position = unsigned(data, position)
    return _cut(data, position, length), position + length


def _cut(data: bytes, position: int, length: int) -> bytes:
    if length > _MAX_LENGTH or position + length > len(data):
        raise IndexError(f"the expression at {position:#x} is cut off")
    return data[position : position + length]


def _in_old_list(unit: Unit, position: int) -> Iterator[tuple[int, int, bytes]]:
    data = unit.dwarf.whole("loc")
    base = base_address(unit)
    while position + 16 <= len(data):
        low = int.from_bytes(data[position : position + 8], "little")
        high = int.from_bytes(data[position + 8 : position + 16], "little")
        position += 16
        if low == _MAX_ADDRESS:
            base = high
            continue
        if not low and not high:
            return
        length = int.from_bytes(data[position : position + 2], "little")
        expression = _cut(data, position + 2, length)
        position += 2 + length
        yield base + low, base + high, expression
    raise IndexError("a list of locations has no end")
