"""The functions that a unit defines: where they are, and where they were declared.

Format: DWARF 5, sections 3.3 (subroutines), 2.13.2 (declarations completed elsewhere) and 2.14 (declaration
coordinates).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.symbols import ranges
from calltrace_collector.symbols.abbrev import CodeBounds
from calltrace_collector.symbols.forms import (
    SKIP_BLOCK,
    SKIP_BLOCK1,
    SKIP_BLOCK2,
    SKIP_BLOCK4,
    SKIP_NUMBER,
    SKIP_STRING,
    At,
    Encoding,
    read_value,
)
from calltrace_collector.symbols.intervals import IntervalMap, within
from calltrace_collector.symbols.leb128 import unsigned
from calltrace_collector.symbols.unit import Entry, Unit

_MAX_FUNCTIONS = 1 << 20
_MAX_HOPS = 8
_MAX_ALIASES = 64


@dataclass(frozen=True, slots=True)
class Definition:
    """A function as the debug information describes it.

    Attributes:
        start: its first address.
        size: bytes from there on; of a function in several pieces, of the piece that was asked for.
        linkage_name: as the linker knows it; for C, its name.
        name: as the source spells it.
        unit: whose line number program has the file.
        file: its number there, or None.
        line: where it is declared, or None.
    """

    start: int
    size: int
    linkage_name: str | None
    name: str | None
    unit: Unit
    file: int | None
    line: int | None


class UnitFunctions:
    """All functions of a unit that have addresses.

    Args:
        unit: a unit; of split debug information the one in the .dwo file, which may be closed afterwards.
        executable: addresses that hold instructions, shape (n, 2), sorted; functions elsewhere were thrown
            away by the linker.

    Raises:
        IndexError, KeyError, ValueError, OverflowError, SymbolError: the unit is damaged.
    """

    def __init__(self, unit: Unit, executable: NDArray[np.uint64]) -> None:
        self._unit = unit
        pieces: list[tuple[int, int, int]] = []
        for position, low, size in _code_entries(unit):
            if size:
                pieces.append((low, low + size, position))
            else:
                found = ranges.of_entry(unit, unit.entry(position))
                pieces += [(start, end, position) for start, end in found]
            if len(pieces) > _MAX_FUNCTIONS:
                raise ValueError(f"more than {_MAX_FUNCTIONS} functions")
        # What starts last is best, for a nested function may lie within another; then the shortest.
        pieces.sort(key=lambda piece: (-piece[0], piece[1], piece[2]))
        bounds = np.array([piece[:2] for piece in pieces], dtype=np.uint64).reshape(-1, 2)
        keep = within(executable, bounds[:, 0])
        bounds = bounds[keep]
        self._pieces = [piece for piece, kept in zip(pieces, keep.tolist(), strict=True) if kept]
        self._map = IntervalMap(bounds[:, 0], bounds[:, 1], np.arange(len(bounds), dtype=np.int64))
        self._definitions: dict[int, Definition] = {}
        if unit.skeleton:
            self._definitions = {row: self._define(row) for row in range(len(self._pieces))}

    @property
    def ranges(self) -> ranges.Ranges:
        """The addresses of all functions."""
        return [piece[:2] for piece in self._pieces]

    def find(self, addresses: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Returns the number of the function that contains each address, or -1."""
        return self._map.find(addresses)

    def definitions(self, number: int) -> list[Definition]:
        """Returns that function, and all others that start where it does; for -1, none."""
        found: list[Definition] = []
        start = self._pieces[number][0] if number >= 0 else None
        while 0 <= number < len(self._pieces) and self._pieces[number][0] == start:
            if len(found) == _MAX_ALIASES:
                break
            if number not in self._definitions:
                self._definitions[number] = self._define(number)
            found.append(self._definitions[number])
            number += 1
        return found

    def position(self, number: int) -> int:
        """Returns the position of that function's entry in its unit."""
        return self._pieces[number][2]

    def positions(self, number: int) -> list[int]:
        """Returns the positions of that function's entry and of those that start where it does."""
        start, end = self._pieces[number][0], number
        while end < min(number + _MAX_ALIASES, len(self._pieces)) and self._pieces[end][0] == start:
            end += 1
        return [position for _, _, position in self._pieces[number:end]]

    def copies(self, unit: Unit) -> dict[tuple[int, int], int]:
        """Returns the first address of each function that is there on its own besides being inlined.

        Args:
            unit: the unit that the functions are of, open.

        Returns:
            Addresses by the place of the entry that the function and what was inlined are instances of: its
            unit's offset, and its position there.
        """
        found: dict[tuple[int, int], int] = {}
        for start, _, position in self._pieces:
            origin = unit.entry(position).get(At.ABSTRACT_ORIGIN)
            target = unit.target(origin) if origin else None
            if target is not None:
                found.setdefault((target[0].header.offset, target[1]), start)
        return found

    def _define(self, number: int) -> Definition:
        """Describes a function, with what its entry inherits from declarations."""
        start, end, position = self._pieces[number]
        linkage_name = name = file = line = None
        file_unit = self._unit
        for unit, entry in origins(self._unit, position):
            linkage_name = linkage_name or unit.text(
                entry.get(At.LINKAGE_NAME) or entry.get(At.MIPS_LINKAGE_NAME)
            )
            name = name or unit.text(entry.get(At.NAME))
            if line is None and At.DECL_LINE in entry:
                line = entry[At.DECL_LINE].number
            if file is None and At.DECL_FILE in entry:
                file, file_unit = entry[At.DECL_FILE].number, unit
        owner = file_unit.skeleton or file_unit
        return Definition(start, end - start, linkage_name or name, name, owner, file, line or None)


def origins(unit: Unit, position: int) -> Iterator[tuple[Unit, Entry]]:
    """Yields the entry, and what it completes or is an instance of, in turn."""
    for owner, at in origin_positions(unit, position):
        yield owner, owner.entry(at)


def origin_positions(unit: Unit, position: int) -> Iterator[tuple[Unit, int]]:
    """Yields where the entry is, and what it completes or is an instance of, in turn."""
    for _ in range(_MAX_HOPS):
        yield unit, position
        entry = unit.entry(position)
        origin = entry.get(At.ABSTRACT_ORIGIN) or entry.get(At.SPECIFICATION)
        target = unit.target(origin) if origin else None
        if target is None:
            return
        unit, position = target


def _code_entries(unit: Unit) -> Iterator[tuple[int, int, int]]:  # noqa: C901, PLR0912 - a call for each value would double it
    """Yields the position of each entry of a function that has code, wherever in the tree it is.

    With it come the function's first address and its size, which is 0 if they are not simply encoded.

    Methods of local classes are inside their classes, lambdas inside functions: all has to be looked at.
    """
    data, encoding = unit.content, unit.header.encoding
    shapes = {code: (shape.steps, shape.has_code) for code, shape in unit.abbreviations.items()}
    bounds = {code: shape.bounds for code, shape in unit.abbreviations.items()}
    position, end = unit.header.root, len(data)
    while position < end:
        start = position
        code = data[position]
        position += 1
        if not code:
            continue
        if code & 0x80:
            code, position = unsigned(data, start)
        steps, has_code = shapes[code]
        if has_code:
            yield start, *_simple_bounds(data, position, bounds[code])
        for step in steps:
            if step >= 0:
                position += step
            elif step == SKIP_STRING:
                position = data.index(b"\0", position) + 1
            elif step == SKIP_NUMBER:
                while data[position] & 0x80:
                    position += 1
                position += 1
            elif step == SKIP_BLOCK:
                size, position = unsigned(data, position)
                position += size
            elif step == SKIP_BLOCK1:
                position += 1 + data[position]
            elif step == SKIP_BLOCK2:
                position += 2 + int.from_bytes(data[position : position + 2], "little")
            else:
                position = _skip_rest(data, position, step, encoding)


def _simple_bounds(data: bytes, position: int, bounds: CodeBounds | None) -> tuple[int, int]:
    """Returns a function's first address and size, given where its values begin; (0, 0) if not known."""
    if bounds is None or position + bounds.high + bounds.high_size > len(data):
        return 0, 0
    low = int.from_bytes(data[position + bounds.low : position + bounds.low + 8], "little")
    high = position + bounds.high
    size = int.from_bytes(data[high : high + bounds.high_size], "little")
    return (low, size) if low + size < 1 << 64 else (0, 0)


def _skip_rest(data: bytes, position: int, step: int, encoding: Encoding) -> int:
    """Returns the position after a value of an encoding that hardly occurs."""
    if step == SKIP_BLOCK4:
        return position + 4 + int.from_bytes(data[position : position + 4], "little")
    form, position = unsigned(data, position)
    return read_value(data, position, form, encoding)[1]
