from pathlib import Path

import numpy as np
import pytest

from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.symtab import Symbol, SymbolTable, refers_to
from tests.unit.symbols import oracles
from tests.unit.symbols.conftest import Build


def find(path: Path, *addresses: int) -> list[Symbol | None]:
    with ElfFile(path) as elf:
        return SymbolTable([elf]).find(np.array(addresses, dtype=np.uint64))


def names(path: Path, *addresses: int) -> list[str | None]:
    return [symbol.name if symbol else None for symbol in find(path, *addresses)]


@pytest.mark.parametrize("name", ["plain", "no-pie", "library", "optimized", "sections", "c++"])
def test_every_function_of_nm_is_found_at_its_address(build: Build, name: str) -> None:
    path = build(name)
    rows = [line.split() for line in oracles.run("nm", "--print-size", path).splitlines()]
    sized = {(int(row[0], 16), int(row[1], 16), row[3]) for row in rows if len(row) == 4 and row[2] in "tTW"}
    starts = {start for start, _, _ in sized}
    assert len(starts) >= 4
    for symbol in find(path, *starts):
        assert symbol is not None
        assert (symbol.start, symbol.size, symbol.name) in sized


def test_a_function_ends_where_its_size_says(build: Build) -> None:
    path = build("plain")
    start = oracles.nm(path)["attributed"]
    (symbol,) = find(path, start)
    assert symbol is not None
    assert find(path, start, start + 1, start + symbol.size - 1) == [symbol] * 3
    assert names(path, start - 1, start + symbol.size) != ["attributed"] * 2
    assert names(path, 0, (1 << 64) - 1) == [None, None]


def test_of_aliases_the_global_one_with_the_shortest_name_is_taken(build: Build) -> None:
    path = build("plain")
    addresses = oracles.nm(path)
    assert addresses["aliased"] == addresses["another_name"] == addresses["weak_name"]
    assert names(path, addresses["aliased"]) == ["aliased"]


def test_an_indirect_function_yields_to_its_resolver(build: Build) -> None:
    path = build("plain")
    addresses = oracles.nm(path)
    assert addresses["chosen"] == addresses["choose"]
    assert names(path, addresses["chosen"], addresses["chosen"] + 1) == ["choose", "choose"]


def test_an_indirect_function_alone_is_found_at_its_value_only(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "stripped"
    oracles.run("objcopy", "--strip-symbol=choose", build("plain"), path)
    value = oracles.nm(path)["chosen"]
    assert names(path, value, value + 1, value - 1)[:2] == ["chosen", None]


def test_symbols_without_a_size_are_found_at_their_value_only(build: Build) -> None:
    path = build("labels")
    at = oracles.nm(path)
    found = names(
        path, at["sized"], at["inner"], at["inner"] + 1, at["unsized"], at["unsized"] + 1, at["label"]
    )
    assert found == ["sized", "inner", "sized", "unsized", None, "label"]
    assert names(path, at["jump_target"]) == [None]
    assert [symbol and symbol.size for symbol in find(path, at["inner"], at["unsized"])] == [0, 0]


def test_data_and_undefined_symbols_are_no_functions(build: Build) -> None:
    path = build("no-pie")
    rows = [line.split() for line in oracles.run("nm", path).splitlines()]
    data = [int(row[0], 16) for row in rows if len(row) == 3 and row[1] in "bBdDrR"]
    assert len(data) > 3
    assert names(path, *data) == [None] * len(data)


def test_a_stripped_library_keeps_its_dynamic_symbols(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "stripped.so"
    oracles.run("strip", "-o", path, build("library"))
    exported = oracles.nm(path, "-D")
    assert set(exported) >= {"helper", "late"}
    assert names(path, exported["helper"], exported["late"]) == ["helper", "late"]
    local = oracles.nm(build("library"))["same"]
    assert names(path, local) == [None]


def test_versions_are_not_part_of_names(tmp_path: Path) -> None:
    script, source, path = tmp_path / "versions.map", tmp_path / "versioned.c", tmp_path / "versioned.so"
    script.write_text("OLD { f; };\nNEW { f; } OLD;\n")
    source.write_text(
        "int old_f(void) { return 1; }\nint new_f(void) { return 2; }\n"
        '__asm__(".symver old_f, f@OLD\\n.symver new_f, f@@NEW");\n'
    )
    oracles.run("gcc", "-shared", "-fPIC", f"-Wl,--version-script={script}", source, "-o", path)
    stripped = tmp_path / "stripped.so"
    oracles.run("strip", "-o", stripped, path)
    addresses = {
        int(line.split()[0], 16) for line in oracles.run("nm", "-D", stripped).splitlines() if " T " in line
    }
    assert len(addresses) == 2
    assert names(stripped, *addresses) == ["f", "f"]


def test_refers_to(build: Build) -> None:
    with ElfFile(build("plain")) as elf:
        assert refers_to(elf, "printf")
        assert not refers_to(elf, "rintf")
        assert not refers_to(elf, "attributed")
    with ElfFile(build("library")) as elf:
        assert refers_to(elf, "__cyg_profile_func_enter")
