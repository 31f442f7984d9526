"""ELF files: their headers, sections and build-id.

Format: System V gABI, chapters 4 and 5. Only 64-bit little-endian files, which is what the agent runs on.
"""

from __future__ import annotations

import struct
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.errors import SymbolError
from calltrace_collector.symbols.file import RegularFile, damage_of
from calltrace_collector.symbols.section import SECTION_HEADER, Section

_MAX_SECTIONS = 1 << 16
_MAX_NOTES_BYTES = 1 << 16
_PROGRAM_TYPES = (2, 3)  # ET_EXEC, ET_DYN
_PT_LOAD = 1
_PT_INTERP = 3
_PT_NOTE = 4
_PAGE_BYTES = 4096
_MAX_PATH_BYTES = 4096
_NT_GNU_BUILD_ID = 3

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_NOTE_HEADER = struct.Struct("<III")
_PROGRAM_HEADER = np.dtype(
    [
        ("type", "<u4"),
        ("flags", "<u4"),
        ("offset", "<u8"),
        ("address", "<u8"),
        ("physical", "<u8"),
        ("file_size", "<u8"),
        ("memory_size", "<u8"),
        ("align", "<u8"),
    ]
)


class ElfFile:
    """A program or a shared library, or the debug information that was split off one.

    A context manager; or call close().

    Args:
        path: the file.
        relocatable: accept an object file too, as the .dwo files of split DWARF are.

    Attributes:
        path: the file.
        file: the file, for what is not in sections.
        sections: all of them, by number.

    Raises:
        SymbolError: no such file, not a regular file, not ELF, of a kind that is not supported, or its
            headers are damaged.
    """

    def __init__(self, path: str | Path, *, relocatable: bool = False) -> None:
        self.path = str(path)
        self.file = RegularFile(path)
        try:
            with damage_of(f"{self.path}: ELF header"):
                self._read_headers(relocatable)
        except SymbolError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; may be called again."""
        self.file.close()

    def section(self, name: str) -> Section | None:
        """Returns the first section of that name that holds something in this file, or None."""
        return self._named.get(name)

    @cached_property
    def _named(self) -> dict[str, Section]:
        return {one.name: one for one in reversed(self.sections) if one.stored_size}

    @cached_property
    def executable_ranges(self) -> NDArray[np.uint64]:
        """Addresses that hold instructions: shape (n, 2), start and end, sorted by start."""
        ranges = [
            (one.address, one.address + one.memory_size)
            for one in self.sections
            if one.is_executable and one.address + one.memory_size < 1 << 64
        ]
        return np.array(sorted(ranges), dtype=np.uint64).reshape(-1, 2)

    def address_of_offset(self, offset: int) -> int | None:
        """Returns the address that the byte at an offset of the file has in memory, before relocation.

        Whole pages are mapped, and so bytes before a segment's first have an address too.
        """
        for segment in self._segments[self._segments["type"] == _PT_LOAD]:
            start, size = int(segment["offset"]), int(segment["file_size"])
            if start & -_PAGE_BYTES <= offset < start + size:
                return int(segment["address"]) + offset - start
        return None

    @cached_property
    def interpreter(self) -> str | None:
        """Path of the dynamic linker that the program asks for, or None: a library, or linked statically.

        Raises:
            SymbolError: the file is damaged there.
        """
        for segment in self._segments[self._segments["type"] == _PT_INTERP][:1]:
            size = min(int(segment["file_size"]), _MAX_PATH_BYTES)
            path = self.file.read(int(segment["offset"]), size).partition(b"\0")[0]
            return path.decode("utf-8", "surrogateescape") or None
        return None

    @cached_property
    def build_id(self) -> bytes | None:
        """The linker's identification of this build (`ld --build-id`), or None."""
        section = self.section(".note.gnu.build-id")
        if section is not None:
            return _find_build_id(section.read(0, min(section.size, _MAX_NOTES_BYTES)))
        if self.sections:  # of a debug file the segments' offsets are those of the file it was split off
            return None
        for segment in self._segments[self._segments["type"] == _PT_NOTE][:16]:
            size = min(int(segment["file_size"]), _MAX_NOTES_BYTES)
            found = _find_build_id(self.file.read(int(segment["offset"]), size))
            if found is not None:
                return found
        return None

    def _read_headers(self, relocatable: bool) -> None:
        if self.file.size < _HEADER.size or self.file.read(0, 4) != b"\x7fELF":
            raise SymbolError(f"{self.path}: is not an ELF file; name a program or a shared library")
        fields = _HEADER.unpack(self.file.read(0, _HEADER.size))
        identification, kind = fields[:2]
        segments_offset, sections_offset = fields[5:7]
        segment_size, segment_count, section_size, section_count, names_index = fields[9:14]
        if identification[4] != 2 or identification[5] != 1:
            raise SymbolError(f"{self.path}: is not 64-bit little-endian, as all that can be traced is")
        if kind not in _PROGRAM_TYPES and not relocatable:
            raise SymbolError(f"{self.path}: is neither a program nor a shared library (ELF type {kind})")
        if segment_count and segment_size != _PROGRAM_HEADER.itemsize:
            raise ValueError(f"program headers of {segment_size} bytes")
        if sections_offset and section_size != SECTION_HEADER.itemsize:
            raise ValueError(f"section headers of {section_size} bytes")
        segments = self.file.read(segments_offset, segment_count * _PROGRAM_HEADER.itemsize)
        self._segments = np.frombuffer(segments, _PROGRAM_HEADER)
        self.sections = self._read_sections(sections_offset, section_count, names_index)

    def _read_sections(self, offset: int, count: int, names_index: int) -> list[Section]:
        if not offset:
            return []
        if count == 0 or names_index == 0xFFFF:  # too large for the header's fields: section 0 says
            first = np.frombuffer(self.file.read(offset, SECTION_HEADER.itemsize), SECTION_HEADER)[0]
            count = count or int(first["size"])
            names_index = int(first["link"]) if names_index == 0xFFFF else names_index
        if count > _MAX_SECTIONS:
            raise ValueError(f"{count} sections; the limit is {_MAX_SECTIONS}")
        headers = np.frombuffer(self.file.read(offset, count * SECTION_HEADER.itemsize), SECTION_HEADER)
        if names_index >= count:
            raise ValueError(f"section {names_index} of {count} is to hold the names")
        names = Section(self.file, names_index, ".shstrtab", headers[names_index]).read_all()
        return [
            Section(self.file, index, _string_in(names, int(header["name"])), header)
            for index, header in enumerate(headers)
        ]


def _find_build_id(notes: bytes) -> bytes | None:
    """Returns the build-id among the notes, or None."""
    position = 0
    while position + _NOTE_HEADER.size <= len(notes):
        name_size, size, kind = _NOTE_HEADER.unpack_from(notes, position)
        name_start = position + _NOTE_HEADER.size
        start = name_start + (name_size + 3 & ~3)
        if kind == _NT_GNU_BUILD_ID and notes[name_start : name_start + name_size] == b"GNU\0":
            found = notes[start : start + size]
            return found if len(found) == size else None
        position = start + (size + 3 & ~3)
    return None


def _string_in(table: bytes, offset: int) -> str:
    """Returns the NUL-terminated string at `offset`, "" where there is none."""
    end = table.find(b"\0", offset)
    return table[offset:end].decode("utf-8", "backslashreplace") if end >= 0 else ""
