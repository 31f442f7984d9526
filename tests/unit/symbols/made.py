"""ELF files that no compiler makes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

LOW_PC, HIGH_PC, RANGES, NAME, STMT_LIST = 0x11, 0x12, 0x55, 0x03, 0x10
DECL_FILE, DECL_LINE, SPECIFICATION = 0x3A, 0x3B, 0x47
ADDR, DATA1, DATA4, DATA8, SEC_OFFSET, STRING, REF4 = 0x01, 0x0B, 0x06, 0x07, 0x17, 0x08, 0x13
COMPILE_UNIT, SUBPROGRAM = 0x11, 0x2E

_SYMBOL = struct.Struct("<IBBHQQ")


def elf_with(
    path: Path,
    sections: dict[str, bytes] | None = None,
    compressed: dict[str, bytes] | None = None,
    symbols: Sequence[tuple[str, int, int, int]] = (),
) -> Path:
    """Writes a program with an empty .text from 0x1000 to 0x2000.

    Args:
        path: the file.
        sections: its sections' contents.
        compressed: contents that are marked as compressed.
        symbols: of .symtab: name, type and binding (st_info), value and size.
    """
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in dict.fromkeys(row[0] for row in symbols))
    table = bytes(_SYMBOL.size) + b"".join(
        _SYMBOL.pack(strings.index(b"\0" + name.encode() + b"\0") + 1, info, 0, 1, value, size)
        for name, info, value, size in symbols
    )
    tables = {".symtab": table, ".strtab": strings} if symbols else {}
    compressed = compressed or {}
    contents = {**tables, **(sections or {}), **compressed}
    names = b"\0.text\0" + b"".join(name.encode() + b"\0" for name in contents) + b".shstrtab\0"
    body = b""
    headers = [bytes(64), _header(names, ".text", 0, flags=6, address=0x1000, size=0x1000)]
    for name, content in contents.items():
        flags = 0x800 if name in compressed else 0
        headers.append(_header(names, name, len(body), flags=flags, size=len(content)))
        body += content
    headers.append(_header(names, ".shstrtab", len(body), size=len(names)))
    body += names
    identification = b"\x7fELF\x02\x01\x01" + bytes(9)
    fields = (2, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, len(headers), len(headers) - 1)
    path.write_bytes(identification + struct.pack("<HHIQQQIHHHHHH", *fields) + body + b"".join(headers))
    return path


def _header(names: bytes, name: str, offset: int, *, flags: int = 0, address: int = 0, size: int) -> bytes:
    at = names.index(b"\0" + name.encode() + b"\0") + 1
    link = 3 if name == ".symtab" else 0  # .strtab comes next
    return struct.pack("<IIQQQQIIQQ", at, 1, flags, address, 64 + offset, size, link, 0, 1, 0)


def uleb(number: int) -> bytes:
    encoded = b""
    while number >= 0x80:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


def unit(abbreviations: int, entries: bytes) -> bytes:
    """A unit of DWARF 4."""
    content = struct.pack("<HIB", 4, abbreviations, 8) + entries
    return struct.pack("<I", len(content)) + content


def abbreviation(code: int, tag: int, *attributes: tuple[int, int]) -> bytes:
    pairs = b"".join(uleb(name) + uleb(form) for name, form in attributes)
    return uleb(code) + uleb(tag) + b"\0" + pairs + b"\0\0"
