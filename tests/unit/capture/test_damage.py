"""Damaged debug information: what is wrong with it is a problem, and never an exception."""

from __future__ import annotations

import subprocess
from pathlib import Path
from random import Random

import pytest

from calltrace_collector.capture.signature.subprograms import Subprograms
from calltrace_collector.errors import SymbolError
from calltrace_collector.symbols.elf import ElfFile
from tests.unit.capture import entry_oracle
from tests.unit.capture.entry_programs import Program

SECTIONS = (".debug_info", ".debug_abbrev", ".debug_loclists", ".debug_str_offsets", ".symtab")
ROUNDS = 150


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
