"""Names and source lines of addresses in programs and shared libraries: the way into this package.

Addresses are a file's own ("offsets" from the load bias), in the space of a symbol's value: the address in
memory less what the loader added to it.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from calltrace_collector.errors import SymbolError
from calltrace_collector.symbols import debugfile
from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.framerows import FrameRow
from calltrace_collector.symbols.linetable import SourceLine
from calltrace_collector.symbols.module import FunctionSymbol, InlinedFrame, ModuleSymbols

__all__ = ["FrameRow", "FunctionSymbol", "InlinedFrame", "ModuleSymbols", "Resolver", "SourceLine"]

_KEPT_MODULES = 64


class Resolver:
    """Opens modules, and keeps those that were used last.

    May be used from any thread.

    Args:
        debug_directories: where separate debug files are installed.
    """

    def __init__(self, debug_directories: Sequence[Path] = debugfile.DEBUG_DIRECTORIES) -> None:
        self._directories = tuple(debug_directories)
        self._modules: OrderedDict[tuple[object, ...], ModuleSymbols] = OrderedDict()
        self._lock = Lock()

    def module(self, path: str, build_id: bytes) -> ModuleSymbols:
        """Returns the symbols of a file that a process has mapped.

        If the file is gone, or was replaced, its installed debug file does as well.

        Args:
            path: the file.
            build_id: that of the mapped file; b"" if it has none.

        Raises:
            SymbolError: the file is missing, unreadable, damaged, no program or shared library, or another
                build than the process has mapped.
        """
        with self._lock:
            key = (path, build_id, _stamp(path))
            module = self._modules.get(key)
            if module is None:
                module = ModuleSymbols(self._open(path, build_id))
                self._modules[key] = module
                if len(self._modules) > _KEPT_MODULES:
                    self._modules.popitem(last=False)
            self._modules.move_to_end(key)
            return module

    def file(self, path: str) -> ModuleSymbols:
        """Returns the symbols of a file as it is now; raises SymbolError as module() does."""
        with ElfFile(path) as elf:
            build_id = elf.build_id or b""
        return self.module(path, build_id)

    def image(self, name: str, content: bytes) -> ModuleSymbols:
        """Returns the symbols of a library that has no file: the one that the kernel brings.

        Args:
            name: for messages.
            content: all of it.

        Raises:
            SymbolError: it is damaged.
        """
        descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
        with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - a descriptor has no path
            file.write(content)
            return ModuleSymbols([ElfFile(f"/proc/self/fd/{descriptor}")])

    def _open(self, path: str, build_id: bytes) -> list[ElfFile]:
        """Opens the file and its debug file, as far as they are there."""
        try:
            elf = _open_build(path, build_id)
        except SymbolError:
            debug = debugfile.find_build(build_id, self._directories)
            if debug is None:
                raise
            return [debug]
        debug = None if elf.section(".debug_info") else debugfile.find(elf, self._directories)
        return [elf, debug] if debug else [elf]


def _open_build(path: str, build_id: bytes) -> ElfFile:
    """Opens a file; raises SymbolError if it is of another build."""
    elf = ElfFile(path)
    found = elf.build_id or b""
    if found != build_id:
        elf.close()
        raise SymbolError(
            f"{path}: the file on disk is another build ({found.hex() or 'no build-id'}) than the process has"
            f" ({build_id.hex() or 'no build-id'}); restart the program, or bring back the file"
        )
    return elf


def _stamp(path: str) -> tuple[int, ...] | None:
    """Returns what changes when the file does; None if there is no such file."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a path with a NUL byte raises ValueError either way
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
