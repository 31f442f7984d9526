"""The code of a file: its bytes, and the names of what it calls."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property

from calltrace_collector.capture.code.hook_sites import HookSite, hook_sites
from calltrace_collector.capture.code.relocations import Relocations
from calltrace_collector.capture.code.stubs import stubs
from calltrace_collector.errors import SymbolError
from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.file import damage_of
from calltrace_collector.symbols.probe import HOOKS
from calltrace_collector.symbols.section import Section
from calltrace_collector.symbols.symtab import SymbolTable

__all__ = ["FileCode"]

_MAX_ADDRESS = (1 << 63) - 1


class FileCode:
    """The code of a program or shared library, with the names of what it calls; is a Code.

    Args:
        files: the file itself, and its debug file, if there is one; they stay open as long as this is used.

    Attributes:
        elf: the file itself.
        symbols: its functions.

    Raises:
        SymbolError: a symbol table is damaged. Damaged relocations are told of when they are first needed.
    """

    def __init__(self, files: Sequence[ElfFile]) -> None:
        self.elf = files[0]
        with damage_of(f"{self.elf.path}: symbol table"):
            self.symbols = SymbolTable(files)
        self._names: dict[int, str | None] = {}
        self._code = _Bytes([one for one in self.elf.sections if one.is_executable and one.stored_size])
        self._constant = _Bytes([one for one in self.elf.sections if one.is_constant and one.stored_size])

    @cached_property
    def relocations(self) -> Relocations:
        """What the dynamic linker fills in; raises SymbolError."""
        return Relocations(self.elf)

    @cached_property
    def stubs(self) -> dict[int, str]:
        """Which function each stub leads to, by the stub's address; raises SymbolError."""
        return stubs(self.elf, self.relocations)

    @cached_property
    def sites(self) -> list[HookSite]:
        """The calls of hooks, by return offset; raises SymbolError."""
        return hook_sites(self.elf, self.stubs, self.relocations.slots_of(HOOKS))

    def read(self, address: int, size: int) -> bytes:
        """Returns at most so many bytes of code; b"" where there is none."""
        return self._code.read(address, size)

    def target_name(self, address: int) -> str | None:
        """Returns the function that a call or jump to the address leads to: by symbol, or that of a stub."""
        if address not in self._names:
            self._names[address] = self.stubs.get(address) or self._symbol_at(address)
        return self._names[address]

    def got_name(self, address: int) -> str | None:
        """Returns what the pointer at the address is bound to, if it is one that the linker fills in."""
        return self.relocations.name_at(address)

    def constant(self, address: int, size: int) -> bytes | None:
        """Returns the bytes at an address that never change while a program runs, else None."""
        found = self._constant.read(address, size)
        return found if len(found) == size and not self.relocations.touches(address, size) else None

    def _symbol_at(self, address: int) -> str | None:
        if not 0 <= address <= _MAX_ADDRESS:
            return None
        try:
            names = self.symbols.starting_at(address)
        except SymbolError:
            return None
        return min((name for name, _ in names), default=None)


class _Bytes:
    """The content of some sections, by address; read when it is first needed."""

    def __init__(self, sections: Sequence[Section]) -> None:
        self._sections = sorted(sections, key=lambda section: section.address)
        self._starts = [section.address for section in self._sections]
        self._contents: dict[int, bytes] = {}

    def read(self, address: int, size: int) -> bytes:
        """Returns at most so many bytes, of one section."""
        place = bisect_right(self._starts, address) - 1
        if place < 0 or size <= 0:
            return b""
        content = self._contents.get(place)
        if content is None:
            content = self._contents[place] = self._sections[place].read_all()
        start = address - self._starts[place]
        return content[start : start + size]
