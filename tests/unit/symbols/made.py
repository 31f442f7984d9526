"""ELF files that no compiler makes."""

from __future__ import annotations

import struct
from pathlib import Path


def elf_with(path: Path, sections: dict[str, bytes], compressed: dict[str, bytes] | None = None) -> Path:
    """Writes a program that has an empty .text at 0x1000 and these sections."""
    compressed = compressed or {}
    contents = {**sections, **compressed}
    names = b"\0.text\0" + b"".join(name.encode() + b"\0" for name in contents) + b".shstrtab\0"
    body = b""
    headers = [bytes(64), header(names, ".text", 1, 6, 0x1000, 64, 0x1000)]
    for name, content in contents.items():
        flags = 0x800 if name in compressed else 0
        headers.append(header(names, name, 1, flags, 0, 64 + len(body), len(content)))
        body += content
    headers.append(header(names, ".shstrtab", 3, 0, 0, 64 + len(body), len(names)))
    body += names
    identification = b"\x7fELF\x02\x01\x01" + bytes(9)
    fields = (2, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, len(headers), len(headers) - 1)
    path.write_bytes(identification + struct.pack("<HHIQQQIHHHHHH", *fields) + body + b"".join(headers))
    return path


def header(names: bytes, name: str, kind: int, flags: int, address: int, offset: int, size: int) -> bytes:
    at = names.index(name.encode() + b"\0")
    return struct.pack("<IIQQQQIIQQ", at, kind, flags, address, offset, size, 0, 0, 1, 0)
