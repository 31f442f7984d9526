"""Damaged and hostile files: a SymbolError or an answer, never another exception, never without end."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calltrace_collector.errors import SymbolError
from calltrace_collector.symbols import probe
from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.resolver import ModuleSymbols, Resolver
from tests.unit.symbols import oracles
from tests.unit.symbols.conftest import Build
from tests.unit.symbols.made import (
    ADDR,
    DATA8,
    HIGH_PC,
    LOW_PC,
    NAME,
    RANGES,
    REF4,
    SEC_OFFSET,
    STMT_LIST,
    STRING,
    abbreviation,
    elf_with,
    uleb,
    unit,
)

FUZZED = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
INTERESTING = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
SECTIONS = [
    ".debug_info",
    ".debug_abbrev",
    ".debug_line",
    ".debug_rnglists",
    ".debug_str_offsets",
    ".debug_addr",
]
SECTIONS += [".symtab", ".debug_ranges", ".debug_line_str", ".eh_frame", ".eh_frame_hdr"]
OFFSETS = [0, 1, 0x1000, (1 << 63), (1 << 64) - 1]


def ask(path: Path) -> ModuleSymbols | None:
    """Asks everything of a file; None if it is refused."""
    try:
        probe.is_instrumented(path)
        module = Resolver(()).module(str(path), probe.build_id(path) or b"")
    except SymbolError:
        return None
    with ElfFile(path) as elf:
        code = elf.executable_ranges[:8].tolist()
    addresses = OFFSETS + [
        address for start, end in code for address in range(start, min(end, start + 600), 7)
    ]
    module.functions(addresses)
    module.locations(addresses)
    module.call_sites(addresses)
    module.inlined(addresses)
    for address in addresses[:60]:
        call = module.call_at(address)
        if call is not None:
            module.tail_calls(call, addresses[-1])
        with contextlib.suppress(SymbolError):
            module.frame_row(address)
    return module


@st.composite
def damages(draw: st.DrawFn) -> list[tuple[str, float, bytes]]:
    """Where in which section (or, "", in the file) which bytes are overwritten."""
    numbers = st.sampled_from(INTERESTING).flatmap(
        lambda number: st.sampled_from([1, 2, 4, 8]).map(
            lambda size: (number & (1 << 8 * size) - 1).to_bytes(size, "little")
        )
    )
    content = st.one_of(numbers, st.binary(min_size=1, max_size=8))
    place = st.tuples(st.sampled_from(["", *SECTIONS]), st.floats(0, 1), content)
    return draw(st.lists(place, min_size=1, max_size=6))


def section_bounds(path: Path) -> dict[str, tuple[int, int]]:
    with ElfFile(path) as elf:
        found = ((one.name, elf.section(one.name)) for one in elf.sections)
        content = path.read_bytes()
        return {
            name: (content.index(section.read_all()), section.size)
            for name, section in found
            if section and name in SECTIONS
        }


@pytest.mark.parametrize("name", ["dwarf4", "clang5", "labels", "c++-optimized"])
def test_damaged_bytes(build: Build, tmp_path: Path, name: str) -> None:
    original = build(name).read_bytes()
    bounds = section_bounds(build(name))
    path = tmp_path / "damaged"

    @FUZZED
    @given(damages())
    def check(changes: list[tuple[str, float, bytes]]) -> None:
        content = bytearray(original)
        for section, place, new in changes:
            start, size = bounds.get(section, (0, len(content)))
            at = start + int(place * max(size - len(new), 0))
            content[at : at + len(new)] = new
        path.write_bytes(content)
        ask(path)

    check()


@FUZZED
@given(st.integers(0, 63), st.sampled_from(INTERESTING), st.sampled_from([1, 2, 4, 8]))
def test_damaged_headers(build: Build, tmp_path: Path, at: int, number: int, size: int) -> None:
    content = bytearray(build("clang5").read_bytes())
    content[at : at + size] = (number & (1 << 8 * size) - 1).to_bytes(size, "little")
    path = tmp_path / "damaged"
    path.write_bytes(content)
    ask(path)


@FUZZED
@given(st.integers(0, 200), st.integers(0, 63), st.sampled_from(INTERESTING))
def test_damaged_section_headers(build: Build, tmp_path: Path, section: int, at: int, number: int) -> None:
    content = bytearray(build("clang5").read_bytes())
    table = int.from_bytes(content[0x28:0x30], "little")
    count = int.from_bytes(content[0x3C:0x3E], "little")
    start = table + section % count * 64 + at // 4 * 4
    content[start : start + 4] = (number & 0xFFFFFFFF).to_bytes(4, "little")
    path = tmp_path / "damaged"
    path.write_bytes(content)
    ask(path)


CODE = struct.pack("<QQ", 0x1000, 0x1000)
UNIT = abbreviation(1, 0x11, (LOW_PC, ADDR), (HIGH_PC, DATA8))


def bombs() -> Iterator[tuple[str, dict[str, bytes], dict[str, bytes]]]:
    """What small files can do: (name, sections, compressed sections)."""
    zeros = zlib.compress(bytes(100 << 20), 9)
    yield "inflates to more than it says", {}, {".debug_info": struct.pack("<IIQQ", 1, 0, 1000, 1) + zeros}
    yield (
        "says that it inflates to exabytes",
        {},
        {".debug_info": struct.pack("<IIQQ", 1, 0, 1 << 60, 1) + zeros},
    )
    yield "unknown compression", {}, {".debug_info": struct.pack("<IIQQ", 9, 0, 100, 1) + zeros[:100]}
    # Each of many units refers to another tail of one long table of abbreviations.
    table = b"".join(abbreviation(code, 0x11, (NAME, STRING)) for code in range(1, 20_000))
    units = b"".join(unit(start, b"\x01x\0") for start in range(0, 120_000, 6))
    yield "abbreviations without end", {".debug_info": units, ".debug_abbrev": table + b"\0"}, {}
    # Each function has all of a long list of ranges.
    shapes = UNIT + abbreviation(2, 0x2E, (RANGES, SEC_OFFSET), (NAME, STRING)) + b"\0"
    entries = b"\x01" + CODE + b"".join(b"\x02" + struct.pack("<I", 0) + b"f\0" for _ in range(50_000))
    ranges = struct.pack("<QQ", 0x1000, 0x1001) * 50_000 + bytes(16)
    yield (
        "ranges without end",
        {".debug_info": unit(0, entries), ".debug_abbrev": shapes, ".debug_ranges": ranges},
        {},
    )
    # An entry that completes itself.
    shapes = UNIT + abbreviation(2, 0x2E, (0x47, REF4), (LOW_PC, ADDR), (HIGH_PC, DATA8)) + b"\0"
    entries = b"\x01" + CODE + b"\x02" + struct.pack("<I", 28) + CODE
    yield "circle", {".debug_info": unit(0, entries), ".debug_abbrev": shapes}, {}
    # Each unit runs the same long line number program.
    shapes = abbreviation(1, 0x11, (LOW_PC, ADDR), (HIGH_PC, DATA8), (STMT_LIST, SEC_OFFSET)) + b"\0"
    program = b"\0\x09\x02" + struct.pack("<Q", 0x1000) + b"\x40" * 100_000 + b"\0\1\1"
    prologue = b"\x01\x01\x01\xfb\x0e\x0d" + b"\0\1\1\1\1\0\0\0\1\0\0\1" + b"\0" + b"f\0\0\0\0" + b"\0"
    content = struct.pack("<HI", 4, len(prologue)) + prologue + program
    lines = struct.pack("<I", len(content)) + content
    units = b"".join(unit(0, b"\x01" + struct.pack("<QQI", 0x1000 + number, 1, 0)) for number in range(4000))
    yield (
        "line programs without end",
        {".debug_info": units, ".debug_abbrev": shapes, ".debug_line": lines},
        {},
    )
    # A table of files of no bytes each.
    prologue = b"\x08\0" + struct.pack("<I", 100) + b"\x01\x01\x01\xfb\x0e\x0d" + b"\0\1\1\1\1\0\0\0\1\0\0\1"
    content = struct.pack("<H", 5) + prologue + b"\0" + uleb((1 << 62) - 1)
    lines = struct.pack("<I", len(content)) + content
    units = unit(0, b"\x01" + CODE + struct.pack("<I", 0))
    yield "files without end", {".debug_info": units, ".debug_abbrev": shapes, ".debug_line": lines}, {}


BOMBS = {name: (sections, compressed) for name, sections, compressed in bombs()}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(tmp_path: Path, name: str) -> None:
    path = elf_with(tmp_path / "bomb", *BOMBS[name])
    module = Resolver(()).module(str(path), b"")
    addresses = range(0x1000, 0x2000)
    module.functions(addresses)
    module.locations(addresses)
    module.inlined(addresses)
    assert module.problems or name == "circle"
    assert all(len(problem.splitlines()) == 1 for problem in module.problems)


def test_a_section_inflates_no_further_than_it_says(tmp_path: Path) -> None:
    path = elf_with(tmp_path / "bomb", *BOMBS["inflates to more than it says"])
    with ElfFile(path) as elf:
        section = elf.section(".debug_info")
        assert section is not None
        tracemalloc.start()
        try:
            with pytest.raises(SymbolError, match="does not decompress to the 1000 bytes"):
                section.read_all()
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak_bytes < 1 << 20


def test_a_hundred_thousand_overlapping_symbols_take_no_time(tmp_path: Path) -> None:
    rows = [("f", 0x12, 0x1000 + number % 4096, 0x1000 - number % 4096) for number in range(100_000)]
    path = elf_with(tmp_path / "many", symbols=rows)
    found = Resolver(()).module(str(path), b"").functions(range(0x1000, 0x2000))
    assert [one and one.offset for one in found] == list(range(0x1000, 0x2000))


def test_truncated_everywhere(build: Build, tmp_path: Path) -> None:
    content = build("clang5").read_bytes()
    path = tmp_path / "truncated"
    for size in range(0, len(content), len(content) // 40):
        path.write_bytes(content[:size])
        assert ask(path) is None


def test_the_damaged_unit_does_not_hide_the_others(build: Build, tmp_path: Path) -> None:
    original, path = build("dwarf4"), tmp_path / "damaged"
    content = bytearray(original.read_bytes())
    start, _ = section_bounds(original)[".debug_info"]
    first_size = int.from_bytes(content[start : start + 4], "little")
    content[start + 60 : start + first_size] = b"\xff" * (first_size - 60)  # all after the unit's own entry
    path.write_bytes(content)
    addresses = oracles.nm(original)
    module = oracles.module(path)
    found = module.functions([addresses["attributed"], addresses["helper"]])
    assert [one and one.name for one in found] == ["attributed", "helper"]
    assert found[1] == oracles.module(original).functions([addresses["helper"]])[0]
    assert "debug information of unit 0x0 is damaged" in module.problems[0]
