"""The symbols of one program or library: what is at its addresses.

Addresses are a file's own ("offsets" from the load bias), in the space of a symbol's value: the address in
memory less what the loader added to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.errors import SymbolError
from calltrace_collector.symbols.debuginfo import DebugInfo
from calltrace_collector.symbols.demangle import demangle
from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.file import damage_of
from calltrace_collector.symbols.framerows import FrameRow
from calltrace_collector.symbols.frametable import FrameTable
from calltrace_collector.symbols.functions import Definition
from calltrace_collector.symbols.inlines import CallSite, InlinedCall
from calltrace_collector.symbols.linetable import SourceLine
from calltrace_collector.symbols.symtab import Symbol, SymbolTable
from calltrace_collector.symbols.tailcalls import find_call, find_tail_calls

_MAX_ADDRESS = (1 << 64) - 1

Offsets = Sequence[int] | NDArray[np.integer]
"""Addresses as the file has them; those outside [0, 2**64) are in no function."""


@dataclass(frozen=True, slots=True)
class FunctionSymbol:
    """A function.

    Attributes:
        offset: its first address.
        size: in bytes; 0 if its symbol does not say.
        linkage_name: as the linker knows it (mangled, with suffixes such as .cold), without a version.
        name: demangled.
        file: source file of the definition; None if unknown.
        line: the line there that declares it; where debug information has only lines of instructions, the
            line of its first instruction; None if unknown.
    """

    offset: int
    size: int
    linkage_name: str
    name: str
    file: str | None
    line: int | None


@dataclass(frozen=True, slots=True)
class InlinedFrame:
    """A function that was inlined, in the one that it is listed before or else in the address's function.

    Attributes:
        linkage_name: as the linker would know it; its plain name where that is not recorded; "" if unknown.
        name: demangled.
        call: where it is called, in the function that it was inlined in; None if unknown.
    """

    linkage_name: str
    name: str
    call: SourceLine | None


class ModuleSymbols:
    """The symbols of one program or library. May be used from any thread.

    Args:
        files: the file itself, if it is there, and its debug file, if there is one.

    Attributes:
        path: the file that has the debug information, or else the symbols.
        has_debug_info: there are source lines.

    Raises:
        SymbolError: a symbol table is damaged.
    """

    def __init__(self, files: Sequence[ElfFile]) -> None:
        self._files = files
        with damage_of(f"{files[0].path}: symbol table"):
            self._symbols = SymbolTable(files)
            with_info = next((file for file in files if file.section(".debug_info")), None)
            self._debug = DebugInfo(with_info, files[0].executable_ranges) if with_info else None
        self.path = (with_info or files[-1]).path
        self.has_debug_info = with_info is not None
        self._functions: dict[Symbol, FunctionSymbol] = {}
        self._frames = FrameTable(files)
        self._lock = Lock()

    @property
    def problems(self) -> list[str]:
        """What could not be read, a line each: why a file or a line is None that should not be."""
        return list(self._debug.problems) if self._debug else []

    def functions(self, offsets: Offsets) -> list[FunctionSymbol | None]:
        """Returns the function that contains each offset, None where there is none.

        Never raises: damaged debug information is reported in `problems`.
        """
        addresses, places = _unique(offsets)
        with self._lock:
            found = self._find(addresses)
        return [found[place] for place in places]

    def locations(self, offsets: Offsets) -> list[SourceLine | None]:
        """Returns the source line of the instruction at each offset, None where that is unknown.

        An instruction of an inlined function is of the line in that function. Never raises.
        """
        addresses, places = _unique(offsets)
        if self._debug is None:
            return [None] * len(places)
        with self._lock:
            found = self._debug.lines(addresses)
            self._debug.release()
        return [found[place] for place in places]

    def call_sites(self, return_offsets: Offsets) -> list[SourceLine | None]:
        """Returns the source line of each call, given where it returns to.

        The instruction before the return address is the call; the one at it may be of another line, and
        after a call that never returns, of another function. For the function that calls, look one byte
        before the return address too: functions([offset - 1]).
        """
        return self.locations([int(offset) - 1 for offset in return_offsets])

    def inlined(self, offsets: Offsets) -> list[list[InlinedFrame]]:
        """Returns the functions that are inlined at each offset, innermost first. Never raises."""
        addresses, places = _unique(offsets)
        if self._debug is None:
            return [[] for _ in places]
        with self._lock:
            found = self._debug.inlined(addresses)
            self._debug.release()
            names = [self._inlined_name(call) for calls in found for call, _ in calls]
        demangled = iter(zip(names, demangle(names), strict=True))
        frames = [[InlinedFrame(*next(demangled), line) for _, line in calls] for calls in found]
        return [frames[place] for place in places]

    def call_at(self, return_offset: int) -> CallSite | None:
        """Returns the call that returns to an offset; None if there is no debug information about it."""
        debug = self._debug
        if debug is None:
            return None
        with self._lock:
            return find_call(debug.call_sites, return_offset)

    def tail_calls(self, call: CallSite, function_offset: int) -> list[int]:
        """Returns the tail calls between a call and a function that runs in it, outermost first.

        Args:
            call: that was not returned from; of another module, without the target's address.
            function_offset: first address of the function.

        Returns:
            Where each would return to, if it was a call; [] if there are none, or they cannot be told.
        """
        debug = self._debug
        if debug is None:
            return []
        with self._lock:
            try:
                return find_tail_calls(debug.call_sites, self._symbols.named, call, function_offset)
            except SymbolError:
                return []

    def release(self) -> None:
        """Forgets what call_at() and tail_calls() have read and can read again."""
        if self._debug is not None:
            with self._lock:
                self._debug.release()

    def frame_row(self, offset: int) -> FrameRow | None:
        """Returns how to get to the caller's frame from an instruction; None if the file does not say.

        Raises:
            SymbolError: the call frame information is damaged.
        """
        with self._lock:
            return self._frames.row(offset)

    def constant_bytes(self, offset: int, size: int) -> bytes | None:
        """Returns up to `size` bytes of memory, if the file has them and the process never writes there."""
        if offset < 0:
            return None
        for section in self._files[0].sections:
            if section.is_constant and section.address <= offset < section.address + section.stored_size:
                start = offset - section.address
                try:
                    return section.read(start, min(size, section.stored_size - start))
                except SymbolError:
                    return None
        return None

    def address_of_offset(self, file_offset: int) -> int | None:
        """Returns the address that the byte at an offset of the file is mapped to; None if it is not."""
        return self._files[0].address_of_offset(file_offset)

    def _inlined_name(self, call: InlinedCall) -> str:
        """Returns the linkage name of a function that was inlined, or as much of a name as there is."""
        if call.copy is not None:
            (symbol,) = self._symbols.find(np.array([call.copy], dtype=np.uint64))
            if symbol is not None and symbol.start == call.copy:
                return symbol.name
        return call.linkage_name or ""

    def _find(self, addresses: NDArray[np.uint64]) -> list[FunctionSymbol | None]:
        """Returns the functions, after looking for those that are not known yet."""
        symbols = self._symbols.find(addresses)
        found = [self._functions.get(symbol) if symbol else None for symbol in symbols]
        new = [row for row, function in enumerate(found) if function is None]
        starts = np.array(
            [symbol.start if (symbol := symbols[row]) else addresses[row] for row in new], dtype=np.uint64
        )
        described = self._describe([symbols[row] for row in new], starts)
        for row, function in zip(new, described, strict=True):
            found[row] = function
            symbol = symbols[row]
            if symbol and function:
                self._functions[symbol] = function
        return found

    def _describe(
        self, symbols: Sequence[Symbol | None], starts: NDArray[np.uint64]
    ) -> list[FunctionSymbol | None]:
        """Returns what is known of functions: of each its symbol, or None, and an address in it."""
        definitions: list[Definition | None] = [None] * len(symbols)
        lines: list[SourceLine | None] = [None] * len(symbols)
        if self._debug is not None and len(symbols):
            candidates = self._debug.definitions(starts)
            definitions = [_choose(*pair) for pair in zip(symbols, candidates, strict=True)]
            lines = [self._declaration(definition) for definition in definitions]
            unknown = [row for row, line in enumerate(lines) if line is None]
            entries = [
                definition.start if (definition := definitions[row]) and not symbols[row] else starts[row]
                for row in unknown
            ]
            for row, line in zip(unknown, self._debug.lines(np.array(entries, dtype=np.uint64)), strict=True):
                lines[row] = line
            self._debug.release()
        names = [
            symbol.name if symbol else (definition and definition.linkage_name) or ""
            for symbol, definition in zip(symbols, definitions, strict=True)
        ]
        return [
            _function(symbol or definition, linkage_name, name, line)
            for symbol, definition, linkage_name, name, line in zip(
                symbols, definitions, names, demangle(names), lines, strict=True
            )
        ]

    def _declaration(self, definition: Definition | None) -> SourceLine | None:
        """Returns where the definition says that it is."""
        if self._debug is None or definition is None or definition.line is None:
            return None
        file = self._debug.file(definition)
        return SourceLine(file, definition.line) if file else None


def _choose(symbol: Symbol | None, candidates: Sequence[Definition]) -> Definition | None:
    """Returns the definition that belongs to the symbol; without a symbol, the first."""
    if symbol is None:
        return candidates[0] if candidates else None
    base = symbol.name.partition(".")[0]
    # Identical functions that a linker has folded start at one address.
    named = [one for one in candidates if one.linkage_name in (symbol.name, base)]
    starting = [one for one in candidates if one.start == symbol.start]
    return next(iter(named + starting), None)


def _function(
    origin: Symbol | Definition | None, linkage_name: str, name: str, line: SourceLine | None
) -> FunctionSymbol | None:
    if origin is None or not linkage_name:
        return None
    return FunctionSymbol(
        offset=origin.start,
        size=origin.size,
        linkage_name=linkage_name,
        name=name,
        file=line.file if line else None,
        line=line.line if line else None,
    )


def _unique(offsets: Offsets) -> tuple[NDArray[np.uint64], list[int]]:
    """Returns the different addresses, and for each offset its place among them."""
    wanted = [int(offset) for offset in offsets]
    # The last address is in no function, and stands for all that are no address.
    addresses = [offset if 0 <= offset < _MAX_ADDRESS else _MAX_ADDRESS for offset in wanted]
    unique, places = np.unique(np.array(addresses, dtype=np.uint64), return_inverse=True)
    return unique, places.tolist()
