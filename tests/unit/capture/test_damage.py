"""Damaged debug information: what is wrong with it is a problem, and never an exception."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from random import Random

import pytest

from calltrace_collector.capture.signature.subprograms import Subprograms
from calltrace_collector.errors import SymbolError
from calltrace_collector.symbols.elf import ElfFile
from tests.unit.capture import entry_oracle
from tests.unit.capture.entry_programs import Program
from tests.unit.symbols.made import (
    ADDR,
    COMPILE_UNIT,
    DATA8,
    HIGH_PC,
    LOW_PC,
    NAME,
    REF4,
    STRING,
    SUBPROGRAM,
    abbreviation,
    elf_with,
    unit,
)

SECTIONS = (".debug_info", ".debug_abbrev", ".debug_loclists", ".debug_str_offsets", ".symtab")
ROUNDS = 150
FORMAL_PARAMETER, ABSTRACT_ORIGIN = 0x05, 0x31


@pytest.mark.parametrize(("compiler", "is_cxx"), [("gcc", False), ("clang++", True)])
def test_damage_is_told_of(compiler: str, is_cxx: bool, tmp_path: Path) -> None:
    program = Program(5, is_cxx=is_cxx, uses_all=True, count=12)
    path = entry_oracle.build(program, compiler, ["-O1"], tmp_path)
    addresses = list(entry_oracle.addresses(program, path).values())
    with ElfFile(path) as elf:
        places = [_place(path, name) for name in SECTIONS if elf.section(name)]
    sound = path.read_bytes()
    random = Random(11)
    described = 0
    for _ in range(ROUNDS):
        content = bytearray(sound)
        start, size = random.choice(places)
        for _ in range(random.randint(1, 4)):
            content[start + random.randrange(size)] = random.choice((0, 1, 0x7F, 0xFF, random.randrange(256)))
        damaged = tmp_path / "damaged"
        damaged.write_bytes(content)
        described += _described(damaged, addresses)
    assert described > ROUNDS


def _place(path: Path, name: str) -> tuple[int, int]:
    """Where a section is in the file, and its size, by readelf."""
    lines = subprocess.check_output(["readelf", "-SW", path], text=True).splitlines()
    fields = next(line.partition("]")[2].split() for line in lines if f" {name} " in line)
    return int(fields[3], 16), int(fields[4], 16)


def _described(path: Path, addresses: list[int]) -> int:
    """How many functions are described in spite of the damage."""
    with ElfFile(path) as elf:
        try:
            subprograms = Subprograms([elf])
            found = subprograms.at(addresses)
            for address in addresses:
                subprograms.inlined_at(address)
        except SymbolError:
            return 0
        assert all(isinstance(problem, str) for problem in subprograms.problems)
    return sum(one is not None for one in found)


def test_a_parameter_that_is_an_instance_of_itself_has_no_type(tmp_path: Path) -> None:
    bounds = (LOW_PC, ADDR), (HIGH_PC, DATA8)
    shapes = (
        _with_children(abbreviation(1, COMPILE_UNIT, *bounds)),
        _with_children(abbreviation(2, SUBPROGRAM, (NAME, STRING), *bounds)),
        abbreviation(3, FORMAL_PARAMETER, (NAME, STRING), (ABSTRACT_ORIGIN, REF4)),
    )
    code = struct.pack("<QQ", 0x1000, 0x100)
    before = b"\1" + code + b"\2f\0" + code + b"\3self\0"
    itself = struct.pack("<I", len(unit(0, before)) - len(b"\3self\0"))
    sections = {
        ".debug_info": unit(0, before + itself + b"\0\0"),
        ".debug_abbrev": b"".join(shapes) + b"\0",
    }
    with ElfFile(elf_with(tmp_path / "hostile", sections)) as elf:
        subprograms = Subprograms([elf])
        (found,) = subprograms.at([0x1000])
    assert subprograms.problems == []
    assert found is not None
    assert [(one.name, one.type.name) for one in found.parameters] == [("self", "void")]


def _with_children(shape: bytes) -> bytes:
    """An abbreviation of entries that have others below them; its code and its tag are one byte each."""
    return shape[:2] + b"\1" + shape[3:]
