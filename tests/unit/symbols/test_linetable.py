"""Source lines of instructions, against gdb and against the sources."""

import re
from pathlib import Path

import pytest

from calltrace_collector.symbols.resolver import SourceLine
from tests.unit.symbols import oracles
from tests.unit.symbols.conftest import FIXTURES, Build

RUNNING = ["plain", "dwarf4", "dwarf3", "dwarf64", "no-pie", "zlib", "old-zlib"]


@pytest.mark.parametrize("name", [*RUNNING, "library", "clang5", "clang4", "c++"])
def test_every_instruction_is_of_the_line_that_gdb_says(build: Build, name: str) -> None:
    path = build(name)
    addresses = oracles.instructions(path)
    found = oracles.module(path).locations(addresses)
    assert len({line for line in found if line}) > 5
    assert found == oracles.gdb_lines(path, addresses)


@pytest.mark.parametrize(
    "name", ["dwarf4", "optimized", "sections", "lto", "c++-optimized", "c++-types", "clang4"]
)
def test_every_instruction_is_of_the_line_that_binutils_say(build: Build, name: str) -> None:
    path = build(name)
    addresses = oracles.instructions(path)
    found = oracles.module(path).locations(addresses)
    assert len({line for line in found if line}) > 5
    assert found == oracles.addr2line(path, addresses)


@pytest.mark.parametrize("name", RUNNING)
def test_call_sites_are_the_lines_that_called(build: Build, name: str) -> None:
    path = build(name)
    rows = [re.split(" ", line) for line in oracles.run(path).splitlines()]
    assert len(rows) == 13
    found = oracles.module(path).call_sites([int(call_site, 16) for _, _, call_site in rows])
    assert [line and line.line for line in found] == [int(line) for line, _, _ in rows]
    assert {Path(line.file) for line in found if line} == {FIXTURES / "shapes.c", FIXTURES / "helper.c"}


def test_lines_and_files_that_the_source_makes_up(build: Build) -> None:
    path = build("plain")
    start = oracles.nm(path)["late"]
    lines = set(oracles.module(path).locations(range(start, start + 60)))
    assert SourceLine(str(Path.cwd() / "generated.y"), 70000) in lines


def test_addresses_without_code_have_no_line(build: Build) -> None:
    module = oracles.module(build("plain"))
    assert module.locations([0, 1, 0x40, 1 << 40, (1 << 64) - 1, 1 << 64, -1]) == [None] * 7
    assert module.call_sites([0]) == [None]
    assert module.locations([]) == []


def test_order_and_repetition_are_kept(build: Build) -> None:
    path = build("plain")
    module = oracles.module(path)
    addresses = oracles.instructions(path)
    mixed = addresses[::-3] + addresses[::2] + addresses[:5] * 2
    assert module.locations(mixed) == [module.locations([address])[0] for address in mixed]


def test_a_program_without_debug_information_has_no_lines(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "stripped"
    oracles.run("strip", "--strip-debug", "-o", path, build("plain"))
    module = oracles.module(path)
    assert not module.has_debug_info
    assert module.problems == []
    start = oracles.nm(path)["attributed"]
    assert module.locations([start]) == [None]
    (function,) = module.functions([start])
    assert function is not None
    assert (function.name, function.file, function.line) == ("attributed", None, None)
