import os
import re
import struct
import zlib
from pathlib import Path

import pytest
import zstandard

from calltrace_collector.errors import SymbolError
from calltrace_collector.symbols.elf import ElfFile
from tests.unit.symbols import oracles
from tests.unit.symbols.conftest import Build
from tests.unit.symbols.made import elf_with


def test_sections_are_those_of_readelf(build: Build) -> None:
    path = build("plain")
    listing = oracles.run("readelf", "--wide", "--sections", path)
    rows = re.findall(
        r"^ +\[ *(\d+)\] (\S+) +(\S+) +([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+)", listing, re.MULTILINE
    )
    expected = {
        (int(number), name, int(address, 16), 0 if kind == "NOBITS" else int(size, 16))
        for number, name, kind, address, size in rows
    }
    with ElfFile(path) as elf:
        found = {(one.index, one.name, one.address, one.size) for one in elf.sections[1:]}
    assert found == expected


@pytest.mark.parametrize("name", ["plain", "no-pie", "library"])
def test_the_interpreter_is_that_of_readelf(build: Build, name: str) -> None:
    listing = oracles.run("readelf", "--wide", "--program-headers", build(name))
    found = re.search(r"program interpreter: (\S+)\]", listing)
    with ElfFile(build(name)) as elf:
        assert elf.interpreter == (found.group(1) if found else None)
    assert (found is None) == (name == "library")


@pytest.mark.parametrize(("name", "tool_option"), [("zlib", "-gz=zlib"), ("old-zlib", "-gz=zlib-gnu")])
def test_compressed_sections_hold_what_objcopy_decompresses(
    build: Build, tmp_path: Path, name: str, tool_option: str
) -> None:
    compressed, plain = build(name), tmp_path / tool_option
    oracles.run("objcopy", "--decompress-debug-sections", compressed, plain)
    with ElfFile(compressed) as one, ElfFile(plain) as other:
        section, expected = one.section(".debug_info"), other.section(".debug_info")
        assert section is not None
        assert expected is not None
        assert section.stored_size < expected.size == section.size
        assert section.read_all() == expected.read_all()
        section.release()
        assert section.read(10, 20) == expected.read(10, 20)


def test_sections_compressed_with_zstd(tmp_path: Path) -> None:
    content = b"some debug information" * 1000
    for kind, packed in ((1, zlib.compress(content)), (2, zstandard.compress(content))):
        section = struct.pack("<IIQQ", kind, 0, len(content), 1) + packed
        with ElfFile(elf_with(tmp_path / "program", {}, {".debug_info": section})) as elf:
            found = elf.section(".debug_info")
            assert found is not None
            assert found.read_all() == content


def test_executable_ranges_hold_all_functions_and_no_data(build: Build) -> None:
    path = build("plain")
    with ElfFile(path) as elf:
        ranges = elf.executable_ranges.tolist()
    addresses = oracles.nm(path)
    functions = [addresses[name] for name in ("_init", "_start", "main", "helper", "weak_name", "_fini")]
    assert all(any(start <= address < end for start, end in ranges) for address in functions)
    data = int(re.findall(r"([0-9a-f]+) [bB] calling", oracles.run("nm", path))[0], 16)
    assert not any(start <= data < end for start, end in ranges)


def test_build_id_without_sections_is_found_in_segments(build: Build, tmp_path: Path) -> None:
    path = build("plain")
    stripped = bytearray(path.read_bytes())
    stripped[0x28:0x30] = bytes(8)  # e_shoff
    stripped[0x3A:0x40] = bytes(6)  # e_shentsize, e_shnum, e_shstrndx
    bare = tmp_path / "bare"
    bare.write_bytes(stripped)
    with ElfFile(bare) as elf:
        assert not elf.sections
        assert elf.build_id == oracles.readelf_build_id(path) != b""


def test_reads_stay_within_sections(build: Build) -> None:
    with ElfFile(build("plain")) as elf:
        section = elf.section(".debug_info")
        assert section is not None
        assert section.read(section.size, 0) == b""
        for offset, size in ((section.size, 1), (-1, 1), (0, -1), (0, section.size + 1), (1 << 64, 1)):
            with pytest.raises(SymbolError, match="are referred to"):
                section.read(offset, size)


def test_strings(build: Build) -> None:
    with ElfFile(build("plain")) as elf:
        section = elf.section(".debug_str")
        assert section is not None
        content = section.read_all()
        offset = content.index(b"attributed")
        assert section.read_string(offset) == "attributed"
        assert section.read_string(offset + 4) == "ibuted"
        assert section.read_string(len(content) - 1) == ""
        with pytest.raises(SymbolError, match="longer than 4 bytes"):
            section.read_string(offset, 4)
        with pytest.raises(SymbolError, match="are referred to"):
            section.read_string(len(content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an ELF file"),
        (b"#!/bin/sh\necho hello, this is a script that is longer than an ELF header is\n", "is not an ELF"),
        (b"\x7fELF", "is not an ELF file"),
        (b"\x7fELF\x01\x01\x01" + bytes(64), "is not 64-bit little-endian"),
        (b"\x7fELF\x02\x02\x01" + bytes(64), "is not 64-bit little-endian"),
        (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x01" + bytes(64), "neither a program nor a shared library"),
        (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02" + bytes(37) + b"\x38\0\xff\xff" + bytes(9), "truncated"),
    ],
)
def test_what_is_no_program_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(SymbolError, match=message):
        ElfFile(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, message in (
        (fifo, "not a regular file"),
        (tmp_path, "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path / "missing", "No such file"),
        (Path("a\0b"), "not a file name"),
    ):
        with pytest.raises(SymbolError, match=message):
            ElfFile(path)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(build: Build, tmp_path: Path, kept: float) -> None:
    content = build("plain").read_bytes()
    path = tmp_path / "truncated"
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(SymbolError, match="truncated"):
        ElfFile(path)


def test_a_file_that_shrinks_while_it_is_open_gives_an_error(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "shrinking"
    path.write_bytes(build("plain").read_bytes())
    with ElfFile(path) as elf:
        os.truncate(path, 100)
        section = elf.section(".debug_info")
        assert section is not None
        with pytest.raises(SymbolError, match="truncated"):
            section.read_all()
