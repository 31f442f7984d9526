"""Definitions and source lines by address, from the debugging information of one program or library.

A unit is read when an address of its own is first asked for, and what it says is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.errors import SymbolError
from calltrace_collector.symbols import lineprogram, ranges, split
from calltrace_collector.symbols.dwarf import DwarfFile
from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.file import damage_of
from calltrace_collector.symbols.forms import At
from calltrace_collector.symbols.functions import Definition, UnitFunctions, origins
from calltrace_collector.symbols.inlines import CallSite, FunctionInlines, InlinedCall
from calltrace_collector.symbols.intervals import IntervalMap, within
from calltrace_collector.symbols.languages import is_c
from calltrace_collector.symbols.linetable import LineTable, SourceLine
from calltrace_collector.symbols.scopes import scope_of
from calltrace_collector.symbols.sourcefiles import SourceFiles
from calltrace_collector.symbols.unit import Unit, UnitKind

_MAX_PROBLEMS = 20

T = TypeVar("T")


class DebugInfo:
    """What the debug information says about addresses. Damaged parts are as if they were not there.

    Args:
        elf: the file with the .debug_ sections.
        executable: addresses that hold instructions, shape (n, 2), sorted. What the linker has thrown away
            is described as if it were elsewhere, and is passed over.

    Attributes:
        problems: what could not be read, a line each; the first few.
    """

    def __init__(self, elf: ElfFile, executable: NDArray[np.uint64]) -> None:
        self._dwarf = DwarfFile(elf)
        self._executable = executable
        self._functions: dict[int, UnitFunctions | None] = {}
        self._tables: dict[int, LineTable | None] = {}
        self._files: dict[int, SourceFiles | None] = {}
        self._inlines: dict[tuple[int, int], FunctionInlines] = {}
        self._scopes: dict[tuple[int, int], str] = {}
        self._copies: dict[int, dict[tuple[int, int], int]] = {}
        self.problems: list[str] = []

    @property
    def units(self) -> Sequence[Unit]:
        """All units of the file."""
        return self._dwarf.units

    def objects(self, addresses: NDArray[np.uint64]) -> set[int | None]:
        """Returns which object files the code at addresses comes from; None among them: not known of all.

        Units that a compiler has made together share a table of abbreviations, whose offset stands for them.
        """
        found: set[int | None] = set()
        known = 0
        for unit, rows in self._by_unit(addresses):
            known += len(rows)
            found.add(None if unit.skeleton is not None else unit.header.abbreviations)
        return found if known == len(addresses) else found | {None}

    def definitions(self, addresses: NDArray[np.uint64]) -> list[list[Definition]]:
        """Returns, for each address, the function that contains it and those that start where it does."""
        found: list[list[Definition]] = [[] for _ in addresses]
        for unit, rows in self._by_unit(addresses):
            functions = self._unit_functions(unit)
            if functions is None:
                continue
            for row, number in zip(rows.tolist(), functions.find(addresses[rows]).tolist(), strict=True):
                found[row] = self._attempt(unit, functions.definitions, number) or []
        return found

    def entries(self, addresses: NDArray[np.uint64]) -> Iterator[tuple[Unit, list[tuple[int, list[int]]]]]:
        """Yields the entries of the functions that contain addresses, by unit.

        A unit is open until the next one is asked for.

        Yields:
            A unit; and the rows of its addresses, each with the positions of the entries of the function
            that contains it and of those that start where it does.
        """
        for unit, rows in self._by_unit(addresses):
            functions = self._unit_functions(unit)
            if functions is None:
                continue
            numbers = functions.find(addresses[rows]).tolist()
            found = [
                (row, functions.positions(number))
                for row, number in zip(rows.tolist(), numbers, strict=True)
                if number >= 0
            ]
            with ExitStack() as stack:
                full = self._attempt(unit, stack.enter_context, split.full_unit(unit)) if found else None
                if full is not None:
                    yield full, found

    def innermost_inlined(self, address: int) -> Iterator[tuple[Unit, int]]:
        """Yields the entry of the innermost function that is inlined at an address, if there is one.

        It is the abstract instance: its unit, which is open until the next is asked for, and its position.
        """
        for full, rows in self.entries(np.array([address], dtype=np.uint64)):
            for _, positions in rows:
                key = full.skeleton or full
                calls = self._attempt(full, self._calls_inlined, full, key, positions[0], address) or []
                origin = calls[0].origin if calls else None
                owner = full.dwarf.unit_at(origin[0]) if origin else None
                if owner is not None and origin is not None:
                    same = owner.header.offset == full.header.offset
                    yield (full if same else owner), origin[1]

    def _calls_inlined(self, full: Unit, unit: Unit, position: int, address: int) -> list[InlinedCall]:
        return self._body(full, unit, position).find(full, address)

    def file(self, definition: Definition) -> str | None:
        """Returns the name of the file that the definition is in."""
        return self._file(definition.unit, definition.file)

    def inlined(self, addresses: NDArray[np.uint64]) -> list[list[tuple[InlinedCall, SourceLine | None]]]:
        """Returns, for each address, what is inlined there and where it is called, innermost first."""
        found: list[list[tuple[InlinedCall, SourceLine | None]]] = [[] for _ in addresses]
        for unit, rows in self._by_unit(addresses):
            functions = self._unit_functions(unit)
            if functions is None:
                continue
            for row, number in zip(rows.tolist(), functions.find(addresses[rows]).tolist(), strict=True):
                if number < 0:
                    continue
                position, address = functions.position(number), int(addresses[row])
                calls = self._attempt(unit, self._inlined_at, unit, position, address) or []
                found[row] = [(call, self._call_line(unit, call)) for call in calls]
        return found

    def call_sites(self, address: int) -> tuple[list[CallSite], bool]:
        """Returns the calls of the function that the address is in, and whether all tail calls are there."""
        for unit, _ in self._by_unit(np.array([address], dtype=np.uint64)):
            functions = self._unit_functions(unit)
            number = int(functions.find(np.array([address], dtype=np.uint64))[0]) if functions else -1
            if functions and number >= 0:
                return self._attempt(unit, self._calls_of, unit, functions.position(number)) or ([], False)
        return [], False

    def _inlined_at(self, unit: Unit, position: int, address: int) -> list[InlinedCall]:
        with split.full_unit(unit) as full:
            calls = self._body(full, unit, position).find(full, address)
            return [self._with_copy(full, unit, call) for call in calls]

    def _with_copy(self, full: Unit, unit: Unit, call: InlinedCall) -> InlinedCall:
        """Looks for the function's own copy if its name is not all of it: that of a local C++ function."""
        if call.linkage_name != call.name or is_c(full):
            return call
        offset = unit.header.offset
        if offset not in self._copies:
            functions = self._unit_functions(unit)
            self._copies[offset] = functions.copies(full) if functions else {}
        copy = self._copies[offset].get(call.origin) if call.origin else None
        if copy is None and call.name and call.origin:
            return replace(call, linkage_name=self._scope(full, unit, call.origin) + call.name)
        return replace(call, copy=copy)

    def _scope(self, full: Unit, unit: Unit, origin: tuple[int, int]) -> str:
        """Returns the scope of the function of an entry, or of the declaration that the entry completes."""
        if origin not in self._scopes:
            owner, position = full, origin[1]
            if origin[0] != full.header.offset:
                owner = full.dwarf.unit_at(origin[0]) or full
            for holder, entry in origins(owner, position):
                specification = entry.get(At.SPECIFICATION)
                target = holder.target(specification) if specification else None
                position = target[1] if target and target[0] is owner else position
            self._scopes[origin] = self._attempt(unit, scope_of, owner, position) or ""
        return self._scopes[origin]

    def _calls_of(self, unit: Unit, position: int) -> tuple[list[CallSite], bool]:
        with split.full_unit(unit) as full:
            body = self._body(full, unit, position)
            return body.call_sites(full), body.has_all_tail_calls

    def _body(self, full: Unit, unit: Unit, position: int) -> FunctionInlines:
        key = unit.header.offset, position
        if key not in self._inlines:
            self._inlines[key] = FunctionInlines(full, position)
        return self._inlines[key]

    def _call_line(self, unit: Unit, call: InlinedCall) -> SourceLine | None:
        file = self._file(unit, call.file)
        return SourceLine(file, call.line) if file and call.line else None

    def _file(self, unit: Unit, number: int | None) -> str | None:
        if number is None:
            return None
        offset = unit.header.offset
        if offset not in self._files:
            self._files[offset] = self._attempt(unit, _files, unit)
        files = self._files[offset]
        return files.get(number) if files else None

    def lines(self, addresses: NDArray[np.uint64]) -> list[SourceLine | None]:
        """Returns the source line of the instruction at each address."""
        found: list[SourceLine | None] = [None] * len(addresses)
        for unit, rows in self._by_unit(addresses):
            table = self._line_table(unit)
            if table is not None:
                for row, line in zip(rows.tolist(), table.find(addresses[rows]), strict=True):
                    found[row] = line
        return found

    def release(self) -> None:
        """Forgets what can be read again, and closes no file."""
        self._dwarf.release()

    def _by_unit(self, addresses: NDArray[np.uint64]) -> Iterator[tuple[Unit, NDArray[np.int64]]]:
        """Yields each unit that has some of the addresses, with their rows."""
        intervals, units = self._units
        owners = intervals.find(addresses)
        rows = np.flatnonzero(owners >= 0)
        numbers = units[owners[rows]]
        for number in np.unique(numbers).tolist():
            yield self._dwarf.units[number], rows[numbers == number]

    @cached_property
    def _units(self) -> tuple[IntervalMap, NDArray[np.int64]]:
        """The addresses of units, and the number of the unit that each interval belongs to.

        The linker may describe a template's only instance in every unit that has it; the first is taken.
        """
        bounds: list[tuple[int, int]] = []
        numbers: list[int] = []
        for number, unit in enumerate(self._dwarf.units):
            found = self._attempt(unit, self._unit_ranges, unit) or []
            bounds += found
            numbers += [number] * len(found)
        for problem in self._dwarf.problems:
            self._note(problem)
        array = np.array(bounds, dtype=np.uint64).reshape(-1, 2)
        keep = within(self._executable, array[:, 0])
        array, owners = array[keep], np.array(numbers, dtype=np.int64)[keep]
        return IntervalMap(array[:, 0], array[:, 1], np.arange(len(array), dtype=np.int64)), owners

    def _unit_ranges(self, unit: Unit) -> ranges.Ranges:
        """Returns the addresses of a unit, those of its functions if it does not say."""
        if unit.header.kind not in (UnitKind.COMPILE, UnitKind.SKELETON):
            return []
        found = ranges.of_entry(unit, unit.root)
        if found or At.RANGES in unit.root or At.HIGH_PC in unit.root:
            return found
        functions = self._unit_functions(unit)
        return functions.ranges if functions else []

    def _unit_functions(self, unit: Unit) -> UnitFunctions | None:
        offset = unit.header.offset
        if offset not in self._functions:
            self._functions[offset] = self._attempt(unit, _functions, unit, self._executable)
        return self._functions[offset]

    def _line_table(self, unit: Unit) -> LineTable | None:
        offset = unit.header.offset
        if offset not in self._tables:
            self._tables[offset] = self._attempt(unit, _table, unit, self._executable)
        return self._tables[offset]

    def _attempt(self, unit: Unit, read: Callable[..., T], *arguments: object) -> T | None:
        """Returns what `read` does; notes the problem and returns None if the data are damaged."""
        try:
            with damage_of(f"{unit.dwarf.path}: debug information of unit {unit.header.offset:#x}"):
                return read(*arguments)
        except SymbolError as error:
            self._note(str(error))
            return None

    def _note(self, problem: str) -> None:
        if problem not in self.problems and len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(problem)


def _functions(unit: Unit, executable: NDArray[np.uint64]) -> UnitFunctions | None:
    with split.full_unit(unit) as full:
        return UnitFunctions(full, executable)


def _program(unit: Unit) -> lineprogram.LineProgram | None:
    offset = unit.root.get(At.STMT_LIST)
    return lineprogram.read(unit.dwarf, offset.number, unit.compilation_directory) if offset else None


def _table(unit: Unit, executable: NDArray[np.uint64]) -> LineTable | None:
    program = _program(unit)
    return LineTable(program, executable) if program else None


def _files(unit: Unit) -> SourceFiles | None:
    program = _program(unit)
    return program.files if program else None
