"""Call frame information, against what readelf says of real libraries."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.framerows import FrameRow, RuleKind
from calltrace_collector.symbols.frametable import FrameTable
from tests.support.compile import compile_c
from tests.unit.symbols.conftest import Build
from tests.unit.symbols.oracles import run

REGISTERS = ["rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16)), "ra"]
KINDS = {RuleKind.EXPRESSION: "exp", RuleKind.VAL_EXPRESSION: "vexp", RuleKind.SAME_VALUE: "s"}

Row = tuple[int, dict[str, str]]


def readelf_rows(path: Path, section: str = ".eh_frame") -> Iterator[Row]:
    """The address and the columns of each row that readelf shows; "u" is what is not saved."""
    # -wN, for it fails where it finds no table in a debug file that it follows a link to.
    command = ("readelf", "-wN", "--debug-dump=frames-interp", "--wide", path)
    columns: list[str] = []
    is_function = shown = False
    for line in run(*command).splitlines():
        if line.startswith("Contents of"):
            shown = f" {section} " in line
        elif "FDE" in line or "CIE" in line:
            is_function = "FDE" in line
        elif line.lstrip().startswith("LOC"):
            columns = line.split()[1:]
        elif shown and is_function and re.match(r"[0-9a-f]{16} ", line):
            address, *values = re.sub(r"r\d+ \((\w+)\)", r"\1", line).split()
            yield int(address, 16), dict(zip(columns, values, strict=True))


def spell(row: FrameRow) -> dict[str, str]:
    """A row as readelf shows it, without what is not saved."""
    cfa = "exp" if row.cfa_expression else f"{REGISTERS[row.cfa_register]}{row.cfa_offset:+}"
    spelled = {"CFA": cfa}
    for register, rule in row.rules.items():
        name = REGISTERS[register]
        if rule.kind == RuleKind.OFFSET:
            spelled[name] = f"c{rule.number:+}"
        elif rule.kind == RuleKind.VAL_OFFSET:
            spelled[name] = f"v{rule.number:+}"
        elif rule.kind == RuleKind.REGISTER:
            spelled[name] = REGISTERS[rule.number]
        elif rule.kind != RuleKind.UNDEFINED:
            spelled[name] = KINDS[rule.kind]
    return spelled


def compare(path: Path, section: str = ".eh_frame", step: int = 1) -> int:
    """Compares every row, or every `step`th one; returns how many."""
    count = 0
    with ElfFile(path) as elf:
        table = FrameTable([elf])
        rows = dict(readelf_rows(path, section))  # of several for one address, the last holds
        for address, expected in list(rows.items())[::step]:
            row = table.row(address)
            assert row is not None, hex(address)
            known = {name: value for name, value in expected.items() if value != "u"}
            assert spell(row) == known, hex(address)
            count += 1
    return count


def library(name: str) -> Path:
    """The file of a library that this process has loaded."""
    ctypes.CDLL(name)
    line = next(line for line in Path("/proc/self/maps").read_text().splitlines() if name in line)
    return Path(line.split()[-1])


@pytest.mark.parametrize("name", ["libc.so.6", "libstdc++.so.6", "ld-linux-x86-64.so.2"])
def test_rows_of_libraries_are_those_of_readelf(name: str) -> None:
    assert compare(library(name), step=7) > 200


def test_signal_frames_are_known() -> None:
    path = library("libc.so.6")
    dump = run("readelf", "-wN", "--debug-dump=frames-interp", "--wide", path)
    offset = re.search(r'^(\w+) .* CIE "zRS"', dump, re.MULTILINE)
    assert offset
    functions = re.findall(rf"FDE cie={offset[1]} pc=(\w+)\.\.(\w+)", dump)
    assert functions
    with ElfFile(path) as elf:
        table = FrameTable([elf])
        for start, end in functions:
            row = table.row(int(start, 16))
            assert row
            assert row.is_signal_frame
            other = table.row(int(end, 16) + 64)
            assert other is None or not other.is_signal_frame


PLAIN = ("-O2", "-fno-asynchronous-unwind-tables", "-fno-exceptions")


@pytest.mark.parametrize("flags", [PLAIN, (*PLAIN, "-gz=zlib"), (*PLAIN, "-gdwarf64"), (*PLAIN, "-gdwarf-2")])
def test_debug_frame_is_read_where_there_is_no_eh_frame(tmp_path: Path, flags: tuple[str, ...]) -> None:
    source = tmp_path / "calls.c"
    source.write_text(
        "extern int puts(const char *);\n"
        'int work(int count) { volatile int table[99]; table[count] = puts(""); return table[0] + count; }\n'
        "int main(int count, char **words) { (void)words; return work(count) + work(count + 1); }\n"
    )
    program = compile_c([source], tmp_path / "calls", flags)
    assert compare(program, ".debug_frame") >= 4


def test_without_a_search_table_every_entry_is_found(tmp_path: Path, build: Build) -> None:
    program = tmp_path / "bare"
    run("objcopy", "--remove-section=.eh_frame_hdr", build("c++"), program)
    assert "eh_frame_hdr" not in run("readelf", "--sections", "--wide", program)
    assert compare(program) > 50


def test_addresses_of_no_function_have_no_row(build: Build) -> None:
    with ElfFile(build("plain")) as elf:
        table = FrameTable([elf])
        assert [table.row(address) for address in (0, 1, 1 << 47, (1 << 64) - 1)] == [None] * 4
