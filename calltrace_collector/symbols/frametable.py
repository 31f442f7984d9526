"""Call frame information of a file: its sections, and the entry of each function.

Formats: DWARF 5, section 6.4.1, for .debug_frame; LSB Core, "Exception Frames", for .eh_frame and
.eh_frame_hdr, and its DW_EH_PE_ encodings of addresses.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.file import damage_of
from calltrace_collector.symbols.framerows import CommonInformation, FrameRow, find_row
from calltrace_collector.symbols.intervals import IntervalMap
from calltrace_collector.symbols.leb128 import signed, unsigned
from calltrace_collector.symbols.section import Section

_MAX_ENTRIES = 1 << 20
_MAX_ENTRY_BYTES = 1 << 20
_KEPT_ROWS = 4096

_OMITTED = 0xFF
_FORMATS = {0x00: "<Q", 0x02: "<H", 0x03: "<I", 0x04: "<Q", 0x0A: "<h", 0x0B: "<i", 0x0C: "<q"}
_ULEB128, _SLEB128 = 0x01, 0x09
_PC_RELATIVE, _ALIGNED, _INDIRECT = 0x10, 0x50, 0x80
_SEARCH_TABLE = bytes([1, 0x1B, 0x03, 0x3B])
"""What linkers write: version 1, a pointer of sdata4, a count of udata4, a table of sdata4 from its start."""


class FrameTable:
    """How to get from a frame to its caller's, for all functions of a program or library.

    Args:
        files: where to look: the file, and its debug file if it has one.
    """

    def __init__(self, files: Sequence[ElfFile]) -> None:
        self._sections = [
            _FrameSection(section, file.section(".eh_frame_hdr") if name == ".eh_frame" else None)
            for name in (".eh_frame", ".debug_frame")
            for file in files
            if (section := file.section(name))
        ]
        self._rows: dict[int, FrameRow | None] = {}

    def row(self, address: int) -> FrameRow | None:
        """Returns the row of the instruction at an address; None if there is no information about it.

        Raises:
            SymbolError: the information is damaged.
        """
        if address not in self._rows:
            if len(self._rows) >= _KEPT_ROWS:
                self._rows.clear()
            self._rows[address] = next(
                (row for section in self._sections if (row := section.row(address))), None
            )
        return self._rows[address]


@dataclass(frozen=True, slots=True)
class _Entry:
    """The entry of a function: an FDE."""

    common: CommonInformation
    start: int
    end: int
    position: int  # of the instructions, in the section
    instructions: bytes


class _FrameSection:
    """One .eh_frame or .debug_frame."""

    def __init__(self, section: Section, header: Section | None) -> None:
        self._section = section
        self._header = header
        self._is_eh = section.name == ".eh_frame"
        self._commons: dict[int, CommonInformation] = {}

    def row(self, address: int) -> FrameRow | None:
        """Returns the row of an address, or None; raises SymbolError."""
        with damage_of(self._section.label):
            offset = self._find(address)
            entry = self._entry(offset) if offset is not None else None
            if entry is None or not entry.start <= address < entry.end:
                return None

            def read_location(position: int) -> tuple[int, int]:
                encoding = entry.common.pointer_encoding
                return self._pointer(entry.instructions, position, encoding, entry.position)

            return find_row(entry.common, entry.instructions, entry.start, address, read_location)

    def _find(self, address: int) -> int | None:
        """Returns the offset of the entry that may contain the address."""
        if self._search_table is not None and address < 1 << 63:
            starts, entries = self._search_table
            at = int(np.searchsorted(starts, np.int64(address), side="right")) - 1
            return int(entries[at]) - self._section.address if at >= 0 else None
        intervals, offsets = self._index
        found = int(intervals.find(np.array([address], dtype=np.uint64))[0])
        return offsets[found] if found >= 0 else None

    @cached_property
    def _search_table(self) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """The linker's table: first addresses of functions, sorted, and addresses of their entries."""
        header = self._header
        if header is None or header.size < 12 or header.read(0, 4) != _SEARCH_TABLE:
            return None
        count = int.from_bytes(header.read(8, 4), "little")
        if not 0 < count <= (header.size - 12) // 8 or header.address >= 1 << 62:
            return None
        pairs = np.frombuffer(header.read(12, count * 8), "<i4").reshape(-1, 2).astype(np.int64)
        pairs += header.address
        return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])

    @cached_property
    def _index(self) -> tuple[IntervalMap, list[int]]:
        """Where there is no table, every entry is looked at once."""
        starts: list[int] = []
        ends: list[int] = []
        offsets: list[int] = []
        offset = 0
        while offset + 4 <= self._section.size and len(offsets) < _MAX_ENTRIES:
            entry, after = self._parse(offset)
            if entry is not None:
                starts.append(entry.start)
                ends.append(entry.end)
                offsets.append(offset)
            offset = after
        ranks = np.arange(len(offsets), dtype=np.int64)
        bounds = np.array(starts, dtype=np.uint64), np.array(ends, dtype=np.uint64)
        return IntervalMap(*bounds, ranks), offsets

    def _entry(self, offset: int) -> _Entry | None:
        return self._parse(offset)[0]

    def _parse(self, offset: int) -> tuple[_Entry | None, int]:
        """Reads the entry at `offset`: a function's, or None; and the offset after it."""
        data, body, after, is_64_bit = self._bytes(offset)
        id_size = 8 if is_64_bit and not self._is_eh else 4
        if len(data) < id_size:
            return None, after
        identification = int.from_bytes(data[:id_size], "little")
        if identification == (0 if self._is_eh else (1 << 8 * id_size) - 1):
            return None, after  # a CIE
        common = self._common(body - identification if self._is_eh else identification)
        encoding = common.pointer_encoding
        start, position = self._pointer(data, id_size, encoding, body)
        size, position = self._pointer(data, position, encoding & 0x0F, body)
        if start < 0 or size < 0 or start + size >= 1 << 64:
            raise ValueError(f"the entry at {offset:#x} is about no addresses")
        if common.has_augmentation:
            length, position = unsigned(data, position)
            position += length
        if position > len(data):
            raise IndexError(f"the entry at {offset:#x} is cut off")
        return _Entry(common, start, start + size, body + position, data[position:]), after

    def _bytes(self, offset: int) -> tuple[bytes, int, int, bool]:
        """Returns an entry's bytes after its length, where they begin and end, and whether it is 64-bit."""
        length, body, is_64_bit = int.from_bytes(self._section.read(offset, 4), "little"), offset + 4, False
        if length == 0xFFFFFFFF:
            length = int.from_bytes(self._section.read(body, 8), "little")
            body, is_64_bit = body + 8, True
        if length > _MAX_ENTRY_BYTES:
            raise ValueError(f"the entry at {offset:#x} is of {length} bytes")
        return self._section.read(body, length), body, body + length, is_64_bit

    def _common(self, offset: int) -> CommonInformation:
        if offset not in self._commons:
            data, body, _, is_64_bit = self._bytes(offset)
            id_size = 8 if is_64_bit and not self._is_eh else 4
            identification = int.from_bytes(data[:id_size], "little")
            if identification != (0 if self._is_eh else (1 << 8 * id_size) - 1):
                raise ValueError(f"there is no common information at {offset:#x}")
            self._commons[offset] = self._parse_common(data, id_size, body)
        return self._commons[offset]

    def _parse_common(self, data: bytes, position: int, body: int) -> CommonInformation:
        version = data[position]
        if version not in (1, 3, 4):
            raise ValueError(f"call frame information of version {version}")
        end = data.index(b"\0", position)
        augmentation = data[position + 1 : end].decode("ascii", "replace")
        position = end + 1
        if augmentation.startswith("eh"):  # a pointer that GCC 2 made
            augmentation, position = augmentation[2:], position + 8
        if version == 4:
            if data[position] != 8 or data[position + 1] != 0:
                raise ValueError("addresses are not of 8 bytes")
            position += 2
        code_alignment, position = unsigned(data, position)
        data_alignment, position = signed(data, position)
        if version == 1:
            return_register, position = data[position], position + 1
        else:
            return_register, position = unsigned(data, position)
        encoding, is_signal_frame, position = self._augment(augmentation, data, position, body)
        return CommonInformation(
            code_alignment=code_alignment,
            data_alignment=data_alignment,
            return_register=return_register,
            pointer_encoding=encoding,
            has_augmentation=augmentation.startswith("z"),
            is_signal_frame=is_signal_frame,
            instructions=data[position:],
        )

    def _augment(self, letters: str, data: bytes, position: int, body: int) -> tuple[int, bool, int]:
        """Reads what a CIE's augmentation says.

        Returns:
            The encoding of addresses, whether it is about signal frames, and the position after it.
        """
        encoding, is_signal_frame = 0, False
        if not letters:
            return encoding, is_signal_frame, position
        if letters[0] != "z":
            raise ValueError(f"augmentation {letters!r} of call frame information is unknown")
        length, position = unsigned(data, position)
        after = position + length
        for letter in letters[1:]:
            if letter == "R":
                encoding, position = data[position], position + 1
            elif letter == "S":
                is_signal_frame = True
            elif letter == "L":
                position += 1
            elif letter == "P":
                _, position = self._pointer(data, position + 1, data[position], body)
            else:
                raise ValueError(f"augmentation {letters!r} of call frame information is unknown")
        if after > len(data):
            raise IndexError("the augmentation of call frame information is cut off")
        return encoding, is_signal_frame, after

    def _pointer(self, data: bytes, position: int, encoding: int, body: int) -> tuple[int, int]:
        """Reads an address; where it is to be read from another place, the place's address.

        Args:
            data: bytes of the section.
            position: where in them.
            encoding: DW_EH_PE_*.
            body: offset of `data` in the section.

        Returns:
            The address, and the position after it.

        Raises:
            IndexError, ValueError, struct.error: the data end, or the encoding does not occur on x86-64.
        """
        if encoding == _OMITTED:
            return 0, position
        applied = encoding & 0x70
        origin = self._section.address + body
        if applied == _ALIGNED:
            position += -(origin + position) % 8
        form, at = encoding & 0x0F, position
        if applied == _ALIGNED or form in _FORMATS:
            layout = "<Q" if applied == _ALIGNED else _FORMATS[form]
            (value,) = struct.unpack_from(layout, data, position)
            position += struct.calcsize(layout)
        elif form in (_ULEB128, _SLEB128):
            value, position = (unsigned if form == _ULEB128 else signed)(data, position)
        else:
            raise ValueError(f"addresses are encoded as {encoding:#x}")
        if applied == _PC_RELATIVE:
            value = value + origin + at & (1 << 64) - 1
        elif applied not in (0, _ALIGNED):
            raise ValueError(f"addresses are encoded as {encoding:#x}")
        return value, position
