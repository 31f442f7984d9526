"""A section of an ELF file: bytes within bounds, decompressed.

Format: System V gABI, "Sections" and "Section Compression"; `.zdebug_*` is what GNU tools wrote before.
"""

from __future__ import annotations

import struct
import zlib
from functools import cached_property

import numpy as np
import zstandard

from calltrace_collector.errors import SymbolError
from calltrace_collector.symbols.file import RegularFile, damage_of

MAX_INFLATED_BYTES = 512 << 20
"""The most that a compressed section may hold."""

SECTION_HEADER = np.dtype(
    [
        ("name", "<u4"),
        ("type", "<u4"),
        ("flags", "<u8"),
        ("address", "<u8"),
        ("offset", "<u8"),
        ("size", "<u8"),
        ("link", "<u4"),
        ("info", "<u4"),
        ("align", "<u8"),
        ("entry_size", "<u8"),
    ]
)
"""Elf64_Shdr."""

_SHT_NOBITS = 8
_SHF_WRITE = 0x1
_SHF_ALLOC = 0x2
_SHF_EXECINSTR = 0x4
_SHF_COMPRESSED = 0x800
_COMPRESSION_HEADER = struct.Struct("<IIQQ")
_ZLIB = 1
_ZSTD = 2


class Section:
    """One section; reads are checked against the size of its content.

    Attributes:
        index: its number in the file.
        name: its name; a `.zdebug_info` is called `.debug_info`.
        address: of its first byte in memory, before relocation.
        memory_size: bytes that it takes there; more than it holds, if the file is a debug file.
        stored_size: bytes that it takes in the file.
        link: number of the section that belongs to it, a symbol table's strings for example.
    """

    def __init__(self, file: RegularFile, index: int, name: str, header: np.void) -> None:
        self.index = index
        self._old_compression = name.startswith(".zdebug_")
        self.name = "." + name[2:] if self._old_compression else name
        self.address = int(header["address"])
        self.memory_size = int(header["size"])
        self.stored_size = 0 if header["type"] == _SHT_NOBITS else self.memory_size
        self.link = int(header["link"])
        self._file = file
        self._flags = int(header["flags"])
        self._offset = int(header["offset"])

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"{self._file.path}: {self.name}"

    @property
    def is_executable(self) -> bool:
        """It holds instructions."""
        return bool(self._flags & _SHF_EXECINSTR)

    @property
    def is_constant(self) -> bool:
        """It is mapped into memory, and nobody writes to it there."""
        return self._flags & (_SHF_ALLOC | _SHF_WRITE) == _SHF_ALLOC

    @cached_property
    def size(self) -> int:
        """Size of the content in bytes, after decompression."""
        return self.stored_size if self._inflated is None else len(self._inflated)

    def release(self) -> None:
        """Forgets the decompressed content, which can be had again."""
        self.__dict__.pop("_inflated", None)

    def read(self, offset: int, size: int) -> bytes:
        """Returns `size` bytes at `offset`; raises SymbolError when they are not all there."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise SymbolError(
                f"{self.label} ends at {self.size:#x}, but {size} bytes at {offset:#x} are referred to;"
                " rebuild or reinstall the file"
            )
        if self._inflated is not None:
            return self._inflated[offset : offset + size]
        return self._file.read(self._offset + offset, size)

    def read_all(self) -> bytes:
        """Returns the whole content."""
        return self.read(0, self.size)

    def read_string(self, offset: int, limit: int = 1 << 20) -> str:
        """Returns the string from `offset` to a NUL, which must come after at most `limit` bytes.

        What is not UTF-8 is shown as backslash escapes, so that different names stay different.
        """
        content = b""
        step = 256
        while len(content) <= limit:
            start = offset + len(content)
            piece = self.read(start, min(step, limit + 1 - len(content), max(self.size - start, 1)))
            end = piece.find(b"\0")
            content += piece if end < 0 else piece[:end]
            if end >= 0:
                return content.decode("utf-8", "backslashreplace")
            step *= 4
        raise SymbolError(f"{self.label} has a string at {offset:#x} that is longer than {limit} bytes")

    @cached_property
    def _inflated(self) -> bytes | None:
        """The decompressed content; None for a section that is not compressed."""
        if not (self._old_compression or self._flags & _SHF_COMPRESSED):
            return None
        stored = self._file.read(self._offset, self.stored_size)
        with damage_of(self.label):
            if self._old_compression:  # "ZLIB", the size, the content
                return _inflate(_ZLIB, stored[12:], int.from_bytes(stored[4:12], "big"))
            kind, _, size, _ = _COMPRESSION_HEADER.unpack_from(stored)
            return _inflate(kind, stored[_COMPRESSION_HEADER.size :], size)


def _inflate(kind: int, content: bytes, size: int) -> bytes:
    """Decompresses to exactly `size` bytes; raises ValueError when that cannot be."""
    if size > MAX_INFLATED_BYTES:
        raise ValueError(f"says that it holds {size} bytes; the limit is {MAX_INFLATED_BYTES}")
    if kind == _ZLIB:
        inflated = zlib.decompressobj().decompress(content, size + 1)
    elif kind == _ZSTD:
        try:
            reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(content)
            inflated = reader.read(size + 1)
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error
    else:
        raise ValueError(f"compression {kind} is unknown")
    if len(inflated) != size:
        raise ValueError(f"does not decompress to the {size} bytes that it says")
    return inflated
