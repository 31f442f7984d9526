"""Functions by address, from ELF symbol tables.

Format: System V gABI, "Symbol Table". A symbol's value is an address of the file's own, before relocation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.errors import SymbolError
from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.intervals import IntervalMap
from calltrace_collector.symbols.section import Section

_SYMBOL = np.dtype(
    [
        ("name", "<u4"),
        ("info", "u1"),
        ("other", "u1"),
        ("section", "<u2"),
        ("value", "<u8"),
        ("size", "<u8"),
    ]
)
_STT_NOTYPE, _STT_FUNC, _STT_GNU_IFUNC = 0, 2, 10
_STB_LOCAL, _STB_WEAK = 0, 2
_SHN_UNDEF = 0
_MAX_NAME_BYTES = 1 << 16

# What a symbol is, by preference, in steps of three: within each, global is better than weak and local.
_SIZED_FUNCTION, _SIZED_LABEL, _INDIRECT, _FUNCTION, _LABEL = range(0, 15, 3)
_UNFIT = 15


@dataclass(frozen=True, slots=True)
class Symbol:
    """A function's symbol: its address, its size (0: unknown), its name as the linker knows it."""

    start: int
    size: int
    name: str


class SymbolTable:
    """The functions that symbol tables name.

    An address is in a function when it is in [value, value + size). A symbol without a size, and an
    indirect function (whose value is its resolver's), is found at its value only. Of several that contain
    an address, the one that starts last is found; of several that start there: a function is better than
    a label, global than weak than local, longer than shorter; then the shortest name, and of those the
    first in the alphabet.

    Args:
        files: where to look for .symtab and .dynsym: the file, and its debug file if it has one.

    Raises:
        SymbolError: a symbol table is damaged.
    """

    def __init__(self, files: Sequence[ElfFile]) -> None:
        tables = [
            _Table.read(file, section, number)
            for number, (file, section) in enumerate(_symbol_sections(files))
        ]
        self._strings = [table.strings for table in tables]
        starts = np.concatenate([table.starts for table in tables] or [np.empty(0, np.uint64)])
        sizes = np.concatenate([table.sizes for table in tables] or [np.empty(0, np.uint64)])
        kinds = np.concatenate([table.kinds for table in tables] or [np.empty(0, np.int64)])
        names = np.concatenate([table.names for table in tables] or [np.empty((0, 2), np.int64)])
        # ~start sorts descending: what starts last is best.
        order = np.lexsort((~sizes, kinds, ~starts))
        self._starts, self._sizes, self._kinds = starts[order], sizes[order], kinds[order]
        self._names = names[order]
        exact = (self._kinds >= _INDIRECT) | (self._sizes == 0)
        ends = self._starts + np.where(exact, np.uint64(1), self._sizes)
        self._map = IntervalMap(self._starts, ends, np.arange(len(order), dtype=np.int64))
        self._found: dict[int, Symbol | None] = {}

    def __len__(self) -> int:
        """How many symbols of functions there are."""
        return len(self._starts)

    def find(self, addresses: NDArray[np.uint64]) -> list[Symbol | None]:
        """Returns, for each address, the function that it is in; None if there is none, or no name."""
        return [self._symbol(row) if row >= 0 else None for row in self._map.find(addresses).tolist()]

    def starting_at(self, address: int) -> list[tuple[str, bool]]:
        """Returns the names of all functions that start at an address; with each, whether it is local."""
        complement = ~np.uint64(address)
        first = np.searchsorted(self._complements, complement, side="left")
        last = np.searchsorted(self._complements, complement, side="right")
        return [(self._name(row), int(self._kinds[row]) % 3 == 2) for row in range(first, last)]

    def named(self, name: str) -> set[int]:
        """Returns the first addresses of the functions of that name."""
        found: set[int] = set()
        pattern = re.escape(name.encode("utf-8", "surrogateescape")) + b"\0"
        for number, strings in enumerate(self._strings):
            offsets = [match.start() for match in re.finditer(pattern, strings.read_all())]
            rows = (self._names[:, 0] == number) & np.isin(
                self._names[:, 1], np.array(offsets, dtype=np.int64)
            )
            found.update(self._starts[rows].tolist())
        return found

    @cached_property
    def _complements(self) -> NDArray[np.uint64]:
        """The starts, which descend, in ascending order."""
        return ~self._starts

    def _symbol(self, row: int) -> Symbol | None:
        """Returns the symbol that the row stands for: the best name of those that are equally good."""
        if row not in self._found:
            start, size, kind = self._starts[row], self._sizes[row], self._kinds[row]
            last = row
            while (
                last < len(self._starts)
                and self._starts[last] == start
                and self._sizes[last] == size
                and self._kinds[last] == kind
            ):
                last += 1
            try:
                name = min((len(name), name) for name in map(self._name, range(row, last)))[1]
                self._found[row] = Symbol(int(start), int(size), name)
            except SymbolError:
                self._found[row] = None
        return self._found[row]

    def _name(self, row: int) -> str:
        """Returns the symbol's name, without the version that the linker may have appended."""
        table, offset = int(self._names[row, 0]), int(self._names[row, 1])
        name = self._strings[table].read_string(offset, _MAX_NAME_BYTES)
        return name.partition("@")[0] or name


def refers_to(file: ElfFile, name: str) -> bool:
    """Tells whether the dynamic linker has to find `name` for this file; raises SymbolError."""
    for section, strings in _sections(file, ".dynsym"):
        symbols = _read_symbols(section)
        missing = symbols["name"][symbols["section"] == _SHN_UNDEF]
        offsets = [
            match.start() for match in re.finditer(re.escape(name.encode()) + b"\0", strings.read_all())
        ]
        if np.isin(missing, np.array(offsets, dtype=np.int64)).any():
            return True
    return False


@dataclass(frozen=True, slots=True)
class _Table:
    """What is fit for use in one symbol table, as columns."""

    strings: Section
    starts: NDArray[np.uint64]
    sizes: NDArray[np.uint64]
    kinds: NDArray[np.int64]
    names: NDArray[np.int64]

    @classmethod
    def read(cls, file: ElfFile, sections: tuple[Section, Section], number: int) -> _Table:
        symbols = _read_symbols(sections[0])
        kinds = np.where(_is_in_code(file, symbols), _kinds(symbols), _UNFIT)
        fit = kinds < _UNFIT
        symbols, kinds = symbols[fit], kinds[fit]
        names = np.stack([np.full(len(symbols), number), symbols["name"].astype(np.int64)], axis=1)
        return cls(sections[1], symbols["value"].copy(), symbols["size"].copy(), kinds, names)


def _symbol_sections(files: Sequence[ElfFile]) -> list[tuple[ElfFile, tuple[Section, Section]]]:
    return [
        (file, sections)
        for file in files
        for name in (".symtab", ".dynsym")
        for sections in _sections(file, name)
    ]


def _sections(file: ElfFile, name: str) -> list[tuple[Section, Section]]:
    """Returns the symbol table of that name and its strings: one pair, or none."""
    section = file.section(name)
    if section is None or section.link >= len(file.sections):
        return []
    return [(section, file.sections[section.link])]


def _read_symbols(section: Section) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    count = section.size // _SYMBOL.itemsize
    return np.frombuffer(section.read(0, count * _SYMBOL.itemsize), _SYMBOL)


def _kinds(symbols: np.ndarray[tuple[int], np.dtype[np.void]]) -> NDArray[np.int64]:
    """Returns how good each symbol is, 0 being the best, _UNFIT being none of a function."""
    types, bindings = symbols["info"] & 15, symbols["info"] >> 4
    sized = symbols["size"] > 0
    is_local = bindings == _STB_LOCAL
    kinds = np.select(
        [
            (types == _STT_FUNC) & sized,
            (types == _STT_NOTYPE) & sized,
            types == _STT_GNU_IFUNC,
            types == _STT_FUNC,
            # A local label without type and size is a jump's target, not a function.
            (types == _STT_NOTYPE) & ~is_local,
        ],
        [_SIZED_FUNCTION, _SIZED_LABEL, _INDIRECT, _FUNCTION, _LABEL],
        default=_UNFIT,
    )
    binding = np.select([is_local, bindings == _STB_WEAK], [2, 1], default=0)
    return np.where(kinds < _UNFIT, kinds + binding, _UNFIT).astype(np.int64)


def _is_in_code(file: ElfFile, symbols: np.ndarray[tuple[int], np.dtype[np.void]]) -> NDArray[np.bool_]:
    """Tells which symbols lie wholly within the section with instructions that they name."""
    ranges = np.zeros((len(file.sections), 2), dtype=np.uint64)
    for section in file.sections[1:]:
        end = section.address + section.memory_size
        if section.is_executable and end < 1 << 64:
            ranges[section.index] = section.address, end
    # Undefined, absolute and common symbols, and bad numbers, all get the empty range of section 0.
    numbers = np.where(symbols["section"] < len(file.sections), symbols["section"], 0)
    low, high = ranges[numbers, 0], ranges[numbers, 1]
    values, sizes = symbols["value"], symbols["size"]
    inside: NDArray[np.bool_] = (values >= low) & (values < high) & (sizes <= high - values)
    return inside
