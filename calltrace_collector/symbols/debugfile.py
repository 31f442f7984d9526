"""Separate debug files: where distributions put what they strip off programs and libraries.

Rules: GDB's manual, "Debugging Information in Separate Files".
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from calltrace_collector.errors import SymbolError
from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.file import RegularFile

DEBUG_DIRECTORIES = (Path("/usr/lib/debug"),)
"""Where debug files are installed."""

_CHUNK_BYTES = 1 << 20
_MAX_LINK_BYTES = 4096
_MAX_CHECKED_BYTES = 2 << 30


def find(elf: ElfFile, directories: Sequence[Path]) -> ElfFile | None:
    """Returns the debug file that belongs to a file, or None; the caller closes it.

    Taken is one of the same build-id; for a file without a build-id, one with the checksum that the file
    names. A debug file that does not fit is passed over.
    """
    if elf.build_id is not None:
        found = find_build(elf.build_id, directories)
        if found is not None:
            return found
    link = _debug_link(elf)
    if link is None:
        return None
    name, checksum = link
    for path in _linked_paths(Path(elf.path), name, directories):
        try:
            found = ElfFile(path)
            if found.build_id == elf.build_id and (elf.build_id or _checksum(found.file) == checksum):
                return found
        except SymbolError:
            continue
        found.close()
    return None


def find_build(build_id: bytes, directories: Sequence[Path]) -> ElfFile | None:
    """Returns the installed debug file of a build, or None; the caller closes it."""
    if len(build_id) < 2:
        return None
    name = build_id.hex()
    for directory in directories:
        try:
            found = ElfFile(directory / ".build-id" / name[:2] / f"{name[2:]}.debug")
        except SymbolError:
            continue
        if found.build_id == build_id:
            return found
        found.close()
    return None


def _linked_paths(path: Path, name: str, directories: Sequence[Path]) -> Iterator[Path]:
    """Yields where a debug file of that name may be, but for the file itself."""
    path = Path(os.path.realpath(path))
    folder = path.parent
    yield from (
        candidate
        for candidate in (
            folder / name,
            folder / ".debug" / name,
            *(directory / folder.relative_to("/") / name for directory in directories),
        )
        if candidate != path
    )


def _debug_link(elf: ElfFile) -> tuple[str, int] | None:
    """Returns the name and the checksum in .gnu_debuglink."""
    section = elf.section(".gnu_debuglink")
    if section is None:
        return None
    content = section.read(0, min(section.size, _MAX_LINK_BYTES))
    name = content.partition(b"\0")[0]
    checksum = content[len(name) + 4 & ~3 :][:4]
    # It is a name in folders that we choose, not a path.
    if not name or b"/" in name or name in (b".", b"..") or len(checksum) < 4:
        return None
    return name.decode("utf-8", "surrogateescape"), int.from_bytes(checksum, "little")


def _checksum(file: RegularFile) -> int:
    """Returns the CRC-32 of the whole file; raises SymbolError."""
    if file.size > _MAX_CHECKED_BYTES:
        raise SymbolError(f"{file.path}: is too large to be checked")
    checksum = 0
    for offset in range(0, file.size, _CHUNK_BYTES):
        checksum = zlib.crc32(file.read(offset, min(_CHUNK_BYTES, file.size - offset)), checksum)
    return checksum
