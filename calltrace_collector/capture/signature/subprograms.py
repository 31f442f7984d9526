"""What the debug information says of functions: their parameters, where they are on entry, and results.

Method: DWARF's location at the first instruction where it is plain, else the classification of the System V
ABI; where both are known they have to agree. What is not sure has no pieces but a reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

import numpy as np

from calltrace_collector.capture.code.direct_calls import DirectCalls
from calltrace_collector.capture.code.file_code import FileCode
from calltrace_collector.capture.signature.arity import parameter_names
from calltrace_collector.capture.signature.declared import Declared, read_declared
from calltrace_collector.capture.signature.definitions import Definitions
from calltrace_collector.capture.signature.parameter_places import (
    Standing,
    parameters_of,
    result_of,
    without_places,
)
from calltrace_collector.capture.signature.subprogram import SubprogramInfo
from calltrace_collector.capture.signature.types import TypeReader
from calltrace_collector.errors import SymbolError
from calltrace_collector.symbols.debuginfo import DebugInfo
from calltrace_collector.symbols.demangle import demangle
from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.file import damage_of
from calltrace_collector.symbols.unit import Unit

__all__ = ["Subprograms"]

_MAX_ADDRESS = (1 << 64) - 1
_MAX_PROBLEMS = 20
# What compilers append to a function's name without changing how it is called, or what it returns.
_SAME = re.compile(r"[^.]*(\.\d+|\.lto_priv\.\d+|\.llvm\.\d+|\.localalias(\.\d+)?)*")
_SAME_RESULT = re.compile(r"[^.]*(\.\d+|\.lto_priv\.\d+|\.localalias(\.\d+)?|\.constprop\.\d+)*")
_CLONE = "the compiler may have changed how this clone of the function is called"


class Subprograms:
    """The functions of one program or library.

    Args:
        files: the file itself, and its debug file, if there is one; they stay open as long as this is used.
        code: of the file, if it is there already.

    Attributes:
        has_debug_info: there is any.

    Raises:
        SymbolError: a symbol table is damaged.
    """

    def __init__(self, files: Sequence[ElfFile], code: FileCode | None = None) -> None:
        self._code = code or FileCode(files)
        self._symbols = self._code.symbols
        self._path = files[-1].path
        with_info = next((file for file in files if file.section(".debug_info")), None)
        self._debug = DebugInfo(with_info, files[0].executable_ranges) if with_info else None
        self.has_debug_info = with_info is not None
        self._reader = TypeReader(Definitions(self._debug.units) if self._debug else None)
        self._declared: dict[tuple[int, int], Declared] = {}
        self._problems: list[str] = []
        self._inlined: dict[tuple[int, int], SubprogramInfo | None] = {}

    @property
    def problems(self) -> list[str]:
        """What could not be read, a line each."""
        return [*(self._debug.problems if self._debug else []), *self._problems]

    def at(self, addresses: Sequence[int]) -> list[SubprogramInfo | None]:
        """Returns the function that contains each address, in the order of the addresses.

        None where no function is described, or its description is damaged, which `problems` tells. Of many
        functions at once less time is used than of one after the other.
        """
        found: list[SubprogramInfo | None] = [None] * len(addresses)
        if self._debug is None or not addresses:
            return found
        points = np.array([one if 0 <= one < _MAX_ADDRESS else _MAX_ADDRESS for one in addresses], np.uint64)
        unique, places = np.unique(points, return_inverse=True)
        demangled = self._demangled(self._debug, unique)
        known: list[SubprogramInfo | None] = [None] * len(unique)
        for unit, rows in self._debug.entries(unique):
            reader = self._reader_of(unit)
            done: dict[int, SubprogramInfo | None] = {}
            for row, positions in rows:
                if positions[0] not in done:
                    done[positions[0]] = self._read(unit, reader, positions, demangled)
                known[row] = done[positions[0]]
        self._declared.clear()
        self._debug.release()
        return [known[place] for place in places.tolist()]

    def inlined_at(self, address: int) -> SubprogramInfo | None:
        """Returns the innermost function that is inlined at an instruction; None if there is none.

        Its parameters have no pieces: they are anywhere. Its low_pc is 0, it has no ranges, and its
        name is not demangled.
        """
        if self._debug is None or not 0 <= address < _MAX_ADDRESS:
            return None
        found = None
        for unit, position in self._debug.innermost_inlined(address):
            key = unit.header.offset, position
            if key in self._inlined and unit.skeleton is None:
                return self._inlined[key]
            with self._noting(unit):
                function = read_declared(unit, position)
                found = self._described(self._reader_of(unit), function)
            if unit.skeleton is None:
                self._inlined[key] = found
        return found

    def _described(self, reader: TypeReader, function: Declared) -> SubprogramInfo:
        reason = "the function is inlined here"
        parameters = tuple(without_places(reader, one, reason) for one in function.parameters)
        result = result_of(reader, function, Standing(result_doubt=reason))
        linkage_name = function.linkage_name or function.name
        return SubprogramInfo(function.name, linkage_name, linkage_name, 0, (), parameters, result)

    def _demangled(
        self, debug: DebugInfo, addresses: np.ndarray[tuple[int], np.dtype[np.uint64]]
    ) -> dict[str, str]:
        """Returns the names of all functions that the addresses are in, demangled."""
        names: set[str] = set()
        for unit, rows in debug.entries(addresses):
            for _, positions in rows:
                for position in positions:
                    with self._noting(unit):
                        names.add(self._linkage_name(self._read_declared(unit, position)))
        ordered = sorted(names)
        return dict(zip(ordered, demangle(ordered), strict=True))

    def _read_declared(self, unit: Unit, position: int) -> Declared:
        """Reads a function, once if its unit stays open."""
        if unit.skeleton is not None:
            return read_declared(unit, position)
        key = unit.header.offset, position
        if key not in self._declared:
            self._declared[key] = read_declared(unit, position)
        return self._declared[key]

    def _reader_of(self, unit: Unit) -> TypeReader:
        # Units of .dwo files are closed again, and their types with them.
        return TypeReader() if unit.skeleton is not None else self._reader

    def _read(
        self, unit: Unit, reader: TypeReader, positions: Sequence[int], demangled: dict[str, str]
    ) -> SubprogramInfo | None:
        """Reads the functions that start at one address; None if they are not the same to a caller."""
        found: SubprogramInfo | None = None
        with self._noting(unit):
            for position in positions:
                one = self._read_one(reader, self._read_declared(unit, position), demangled)
                if found is not None and (one.parameters, one.returns) != (found.parameters, found.returns):
                    raise ValueError(f"{found.name} and {one.name} are at one address, and different")
                found = found or one
        return found

    def _read_one(self, reader: TypeReader, function: Declared, demangled: dict[str, str]) -> SubprogramInfo:
        low_pc, linkage_name = self._low_pc(function), self._linkage_name(function)
        shown = demangled.get(linkage_name, linkage_name)
        standing = self._standing(function, low_pc, linkage_name, shown)
        return SubprogramInfo(
            function.name,
            linkage_name,
            shown,
            low_pc,
            tuple(sorted(function.ranges)),
            parameters_of(reader, function, low_pc, standing),
            result_of(reader, function, standing),
        )

    def _linkage_name(self, function: Declared) -> str:
        """Returns the function's linkage name; gcc leaves those of local functions to the symbols."""
        if function.linkage_name or not function.ranges:
            return function.linkage_name or function.name
        names = [name for name, _ in self._symbols.starting_at(self._low_pc(function))]
        mangled = (name.partition(".")[0] for name in names if name.startswith("_Z"))
        return next(mangled, function.name)

    def _low_pc(self, function: Declared) -> int:
        """Returns where the function is entered."""
        if function.entry is not None:
            return function.entry
        if not function.ranges:
            raise ValueError(f"{function.name} has no code")
        for start, _ in function.ranges:
            names = [name for name, _ in self._symbols.starting_at(start)]
            if any(_SAME.fullmatch(name) for name in names):
                return start
        return function.ranges[0][0]

    @cached_property
    def _calls(self) -> DirectCalls:
        return DirectCalls(self._code)

    def _standing(self, function: Declared, low_pc: int, linkage_name: str, demangled: str) -> Standing:
        names_of_types = parameter_names(linkage_name, demangled)
        symbols = self._symbols.starting_at(low_pc)
        names = [name for name, _ in symbols]
        result_doubt = doubt = None
        if symbols and not any(_SAME.fullmatch(name) for name in names):
            doubt = _CLONE
            result_doubt = None if any(_SAME_RESULT.fullmatch(name) for name in names) else _CLONE
        is_local = all(local for _, local in symbols) if symbols else not function.external
        if is_local and not symbols:
            doubt = result_doubt = _CLONE
        return Standing(
            doubt,
            result_doubt,
            names_of_types,
            may_lose=is_local and bool(function.clang),
            has_seen_callers=is_local or self._has_seen_callers(function, low_pc, names),
        )

    def _has_seen_callers(self, function: Declared, low_pc: int, names: Sequence[str]) -> bool:
        """Tells whether a function may be called by code that was compiled with it.

        Source: LLVM's DeadArgumentElimination, which changes the calls of a module's own functions.
        """
        if not function.clang or function.unit.skeleton is not None or self._debug is None:
            return True
        sources = self._calls.sources(low_pc, names)
        callers = self._debug.objects(sources)
        return None in callers or function.unit.header.abbreviations in callers

    @contextmanager
    def _noting(self, unit: Unit) -> Iterator[None]:
        """Makes a problem of damage, and goes on behind the block."""
        try:
            with damage_of(f"{self._path}: debug information of unit {unit.header.offset:#x}"):
                yield
        except SymbolError as error:
            if len(self._problems) < _MAX_PROBLEMS and str(error) not in self._problems:
                self._problems.append(str(error))
