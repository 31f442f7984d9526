"""The address space of a process that crashed: its modules, its memory as far as it was recorded."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calltrace_collector.crash.maps import Mapping, MemoryMap
from calltrace_collector.errors import SymbolError
from calltrace_collector.model.crash import CrashRecord, MemoryRange
from calltrace_collector.model.process import ModuleInfo
from calltrace_collector.symbols.resolver import FrameRow, ModuleSymbols, Resolver

_EXECUTABLE = 1  # PF_X
_VDSO = "[vdso]"
_MAX_IMAGE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """A file that is mapped.

    Attributes:
        load_bias: an address less it is one of the file's own.
        symbols: None if they cannot be had; `problem` says why then.
    """

    path: str
    load_bias: int
    symbols: ModuleSymbols | None
    problem: str

    def frame_row(self, address: int) -> FrameRow | None:
        """Returns how to get to the caller from an instruction, or None; raises SymbolError."""
        return self.symbols.frame_row(address - self.load_bias) if self.symbols else None


class AddressSpace:
    """What was where in the process.

    Args:
        record: the crash.
        modules: of the process, at the time of the crash.
        resolver: opens their files.
    """

    def __init__(self, record: CrashRecord, modules: Sequence[ModuleInfo], resolver: Resolver) -> None:
        self.maps = MemoryMap(record.maps)
        self.has_memory = bool(record.memory)
        self._resolver = resolver
        self._crash_time_ns = record.clock.realtime_ns
        self._memory = sorted(record.memory, key=lambda part: part.address)
        self._segments = sorted(
            (
                (start, start + segment.size_bytes, number, bool(segment.flags & _EXECUTABLE))
                for number, module in enumerate(modules)
                for segment in module.segments
                for start in [segment.address + module.load_bias & (1 << 64) - 1]
            ),
        )
        self._infos = modules
        self._opened: dict[object, Module] = {}

    def read(self, address: int, size: int) -> bytes | None:
        """Returns memory as it was when the process crashed; None if it is not all known."""
        part = self.recorded_range(address)
        if part is not None:
            start = address - part.address
            content = part.content[start : start + size]
            return content if len(content) == size else None
        module = self.module_at(address)
        if module is None or module.symbols is None:
            return None
        constant = module.symbols.constant_bytes(address - module.load_bias, size)
        return constant if constant is not None and len(constant) == size else None

    def read_some(self, address: int, size: int) -> bytes:
        """Returns as many of the bytes at an address as are known."""
        for length in range(size, 0, -1):
            content = self.read(address, length)
            if content is not None:
                return content
        return b""

    def read_number(self, address: int, size: int = 8) -> int:
        """Returns a number in memory; raises ValueError if it is not known."""
        content = self.read(address, size)
        if content is None:
            raise ValueError(f"the memory at {address:#x} was not recorded")
        return int.from_bytes(content, "little")

    def recorded_range(self, address: int) -> MemoryRange | None:
        """Returns the recorded part of the memory that the address is in."""
        number = bisect_right(self._memory, address, key=lambda part: part.address) - 1
        if number < 0 or address >= self._memory[number].address + len(self._memory[number].content):
            return None
        return self._memory[number]

    def is_code(self, address: int) -> bool:
        """Tells whether instructions at the address could be executed."""
        if self.maps:
            mapping = self.maps.find(address)
            return mapping is not None and mapping.is_executable
        segment = self._segment_at(address)
        return segment is not None and segment[3]

    def describe(self, address: int) -> str:
        """Returns what an address is in, for messages: the name of a file or a mapping."""
        module = self.module_at(address)
        mapping = self.maps.find(address)
        if module is not None:
            return module.path
        return "memory that is not mapped" if mapping is None else mapping.name or "anonymous memory"

    def module_at(self, address: int) -> Module | None:
        """Returns the module that the address is in."""
        segment = self._segment_at(address)
        if segment is not None:
            info = self._infos[segment[2]]
            return self._module(segment[2], info.path, info.build_id, info.load_bias)
        mapping = self.maps.find(address)
        if mapping is None:
            return None
        for number, info in enumerate(self._infos):
            if not info.segments and info.path == mapping.name:
                return self._module(number, info.path, info.build_id, info.load_bias)
        return self._unannounced(mapping)

    def _segment_at(self, address: int) -> tuple[int, int, int, bool] | None:
        number = bisect_right(self._segments, address, key=lambda segment: segment[0]) - 1
        if number < 0 or address >= self._segments[number][1]:
            return None
        return self._segments[number]

    def _module(self, number: int, path: str, build_id: bytes, load_bias: int) -> Module:
        """Returns a module that the process has told of."""
        if number not in self._opened:
            module = self._image(path, load_bias)
            if module is None:
                try:
                    module = Module(path, load_bias, self._resolver.module(path, build_id), "")
                except SymbolError as error:
                    module = Module(path, load_bias, None, str(error))
            self._opened[number] = module
        return self._opened[number]

    def _unannounced(self, mapping: Mapping) -> Module | None:
        """Returns a module that only the map tells of: one just loaded, or the kernel's own."""
        key = (mapping.name, mapping.inode)
        if mapping.name == _VDSO and key not in self._opened:
            module = self._image(_VDSO, mapping.start)
            if module is not None:
                self._opened[key] = module
        elif mapping.is_file and key not in self._opened:
            module = self._same_file(mapping)
            if module is not None:
                self._opened[key] = module
        return self._opened.get(key)

    def _image(self, path: str, load_bias: int) -> Module | None:
        """Returns the module that has no file, but was recorded with the memory; None for others."""
        if path.startswith("/"):
            return None
        mapping = self.maps.find(load_bias)
        content = self.recorded_range(load_bias)
        if mapping is None or mapping.name != _VDSO or content is None:
            return None
        start = load_bias - content.address
        size = min(mapping.end - load_bias, _MAX_IMAGE_BYTES)
        try:
            symbols = self._resolver.image(_VDSO, content.content[start : start + size])
        except SymbolError as error:
            return Module(_VDSO, load_bias, None, str(error))
        return Module(_VDSO, load_bias, symbols, "")

    def _same_file(self, mapping: Mapping) -> Module | None:
        """Returns the module of a mapped file, if the file there now is the one that was mapped.

        It is, if it is the same inode and was not changed since the crash.
        """
        try:
            status = Path(mapping.name).stat()
            device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
            if (device, status.st_ino) != (mapping.device, mapping.inode):
                return None
            if status.st_ctime_ns >= self._crash_time_ns:
                return None
            symbols = self._resolver.file(mapping.name)
        except (OSError, ValueError, SymbolError):
            return None
        first = symbols.address_of_offset(mapping.offset)
        return Module(mapping.name, mapping.start - first, symbols, "") if first is not None else None
