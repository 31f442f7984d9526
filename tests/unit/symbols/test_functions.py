"""Where functions are defined, against the sources themselves."""

from pathlib import Path

import pytest

from calltrace_collector.symbols.resolver import FunctionSymbol
from tests.unit.symbols import oracles
from tests.unit.symbols.conftest import COLD, FIXTURES, Build

C_SOURCES = [FIXTURES / name for name in ("shapes.c", "shapes.h", "helper.c")]
# Each is compiled to a function of its own, whatever the optimization.
KEPT = {"attributed", "old_style", "helper", "late", "aliased"}


def functions(path: Path) -> dict[str, FunctionSymbol]:
    """All functions that nm knows of, by linkage name."""
    found = oracles.module(path).functions(list(oracles.nm(path).values()))
    return {function.linkage_name: function for function in found if function}


@pytest.mark.parametrize(
    "name",
    ["plain", "dwarf4", "dwarf3", "dwarf64", "no-pie", "zlib", "old-zlib", "optimized", "sections", "lto"],
)
def test_c_functions_are_defined_where_their_names_are(build: Build, name: str) -> None:
    found = functions(build(name))
    lines = oracles.markers(*C_SOURCES)
    seen = set(found) & set(lines)
    assert seen >= (
        KEPT if name in {"optimized", "sections", "lto"} else set(lines) - {"same:shapes.c", "same:helper.c"}
    )
    assert {one: found[one].line for one in seen} == {one: lines[one] for one in seen}
    files = {one: str(FIXTURES / "shapes.c") for one in seen} | {
        "in_header": str(FIXTURES / "shapes.h"),
        "helper": str(FIXTURES / "helper.c"),
        "late": str(FIXTURES / "helper.c"),
    }
    assert {one: found[one].file for one in seen} == {one: files[one] for one in seen}


def test_functions_of_one_name_in_two_files_are_told_apart(build: Build) -> None:
    path = build("plain")
    starts = [
        int(line.split()[0], 16) for line in oracles.run("nm", path).splitlines() if line.endswith(" t same")
    ]
    found = oracles.module(path).functions(starts)
    lines = oracles.markers(*C_SOURCES)
    assert {(one.file, one.line) for one in found if one} == {
        (str(FIXTURES / name), lines[f"same:{name}"]) for name in ("shapes.c", "helper.c")
    }


@pytest.mark.parametrize("name", ["c++", "c++-optimized", "c++-types"])
def test_cxx_functions_are_defined_where_their_names_are(build: Build, name: str) -> None:
    found = {function.name: function for function in functions(build(name)).values()}
    expected = {
        "Outer::declared(int)": "declared",
        "Outer::Outer()": "constructor",
        "Outer::~Outer()": "destructor",
        "space::shown(int)": "shown",
        "plain": "plain",
        "main": "main",
        "space::(anonymous namespace)::hidden(int)": "hidden",
    }
    if name == "c++":
        expected |= {
            "Outer::inside(int)": "inside",
            "int Outer::generic<int>(int)": "generic",
            "double Outer::generic<double>(double)": "generic",
            "Outer::declared(int)::Local::method(int)": "method",
            "Outer::declared(int)::{lambda(int)#1}::operator()(int) const": "lambda",
            "std::vector<int, std::allocator<int> > copies<int>(int const&, int)": "copies",
        }
    source = FIXTURES / "shapes.cpp"
    lines = oracles.markers(source)
    assert {one: (found[one].file, found[one].line) for one in expected if one in found} == {
        one: (str(source), lines[marker]) for one, marker in expected.items()
    }


@pytest.mark.parametrize("name", ["clang5", "clang4"])
def test_functions_compiled_by_clang(build: Build, name: str) -> None:
    found = functions(build(name))
    lines = oracles.markers(FIXTURES / "clang.c")
    for one in ("twice", "compute", "main"):
        assert (found[one].file, found[one].line) == ("/src/clang.c", lines[one])


def test_names_come_from_debug_information_without_a_symbol_table(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "debug-only"
    original = build("plain")
    oracles.remove_symbols(original, path)
    expected = functions(original)
    module = oracles.module(path)
    for name in ("twice", "attributed", "helper", "in_header", "main"):
        inside = expected[name].offset + 3
        assert module.functions([inside]) == [expected[name]]
    end = expected["main"].offset + expected["main"].size
    assert all(function is None or function.name != "main" for function in module.functions([end]))


def test_mangled_names_come_from_debug_information(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "debug-only"
    original = build("c++")
    oracles.remove_symbols(original, path)
    expected = functions(original)["_ZN5space5shownEi"]
    assert oracles.module(path).functions([expected.offset]) == [expected]


def test_cold_parts_are_defined_with_their_function(tmp_path: Path) -> None:
    source, path = tmp_path / "cold.c", tmp_path / "cold"
    source.write_text(COLD)
    oracles.run("gcc", "-O2", "-g", source, "-o", path)
    found = functions(path)
    assert "risky.cold" in found
    assert found["risky.cold"].offset != found["risky"].offset
    assert {(found[name].file, found[name].line) for name in ("risky", "risky.cold")} == {(str(source), 4)}


def test_functions_of_assembly_are_of_their_first_line(tmp_path: Path) -> None:
    path = tmp_path / "labels"
    source = FIXTURES / "labels.S"
    oracles.run("gcc", "-g", source, "-o", path)
    found = functions(path)
    lines = source.read_text().splitlines()
    for name in ("sized", "unsized", "main"):
        assert (found[name].file, found[name].line) == (str(source), lines.index(f"{name}:") + 2)


def test_minimal_debug_information_has_definitions(tmp_path: Path) -> None:
    source, path = tmp_path / "minimal.c", tmp_path / "minimal"
    source.write_text(
        "static int\nother(int value)\n{\n    return value;\n}\nint main(void)\n{\n    return other(0);\n}\n"
    )
    oracles.run("gcc", "-g1", source, "-o", path)
    found = functions(path)
    assert (found["other"].line, found["main"].line) == (2, 6)


def test_without_abbreviations_only_names_are_known(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "damaged"
    oracles.run("objcopy", "--remove-section=.debug_abbrev", build("plain"), path)
    module = oracles.module(path)
    (function,) = module.functions([oracles.nm(path)["helper"]])
    assert function is not None
    assert (function.name, function.file, function.line) == ("helper", None, None)
    assert "there is no section .debug_abbrev" in module.problems[0]


def test_without_entries_the_first_line_is_taken(tmp_path: Path) -> None:
    source, path = tmp_path / "lines.s", tmp_path / "lines"
    source.write_text(
        '    .file 1 "made.up"\n    .text\n    .globl main\n    .type main, @function\n'
        "main:\n    .loc 1 41\n    nop\n    .loc 1 42\n    ret\n    .size main, . - main\n"
        '    .section .note.GNU-stack, "", @progbits\n'
    )
    oracles.run("gcc", "-Wa,-gdwarf-5", source, "-o", path)
    start = oracles.nm(path)["main"]
    function, *_ = oracles.module(path).functions([start])
    assert function is not None
    assert function.line == 41
    assert oracles.module(path).locations([start, start + 1]) == oracles.gdb_lines(path, [start, start + 1])
