"""Types and text of parameters, as the source has them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from calltrace_collector.capture.signature.subprogram import Parameter, SubprogramInfo
from calltrace_collector.capture.signature.subprograms import Subprograms
from calltrace_collector.capture.signature.text_access import TextAccess, TextLayout
from calltrace_collector.model.capture import Enumerator, TypeKind
from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.symtab import SymbolTable

SOURCE = """
#include <string>
#include <string_view>
enum mode { READ = 1, WRITE = 2, ALL = 4 };
enum class color : signed char { RED = -1, BLUE = 5 };
struct inner { short x; };
struct outer { inner a; unsigned b : 3; int c : 5; char name[4]; struct { int deep; }; };
struct derived : inner { double d; virtual void f() {} static int shared; };
typedef unsigned long length;
extern "C" {
void text(const char *a, char *b, const signed char *c, std::string d, const std::string &e,
          std::string_view f, const std::string_view *g, char **h) {}
void kinds(mode a, color b, outer c, const outer *d, length e, int (*f)(char, double), int (&g)[3],
           const derived &h, volatile int *const i, double *&&j, bool k, wchar_t l, int8_t m) {}
void used() { static mode m; static color c = color::RED; static derived d; (void)m; (void)c; (void)d; }
}
struct thing { int method(int value) const; static int fixed(int value); thing(short first); };
int thing::method(int value) const { return value; }
int thing::fixed(int value) { return value; }
thing::thing(short first) { (void)first; }
int main() {}
"""


@pytest.fixture(scope="module", params=["g++", "clang++"])
def functions(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, SubprogramInfo]:
    folder = tmp_path_factory.mktemp("types")
    source, path = folder / "types.cpp", folder / "types"
    source.write_text(SOURCE)
    command = [request.param, "-g", "-O0", "-w", "-std=c++17", str(source), "-o", str(path)]
    subprocess.run(command, check=True)
    return described(path)


def described(path: Path) -> dict[str, SubprogramInfo]:
    lines = subprocess.check_output(["nm", "--defined-only", path], text=True).splitlines()
    starts = [int(line.split()[0], 16) for line in lines if line.split()[1] in "tTW"]
    with ElfFile(path) as elf:
        found = Subprograms([elf]).at(starts)
    return {one.demangled: one for one in found if one is not None}


def by_name(function: SubprogramInfo) -> dict[str, Parameter]:
    return {parameter.name: parameter for parameter in function.parameters}


def test_text_is_what_has_characters(functions: dict[str, SubprogramInfo]) -> None:
    found = {name: one.text for name, one in by_name(functions["text"]).items()}
    pointer = TextAccess(TextLayout.POINTER, by_address=False)
    string = TextAccess(TextLayout.POINTER_LENGTH, by_address=True)
    view = TextAccess(TextLayout.LENGTH_POINTER, by_address=False)
    # clang leaves out the string: it is not used.
    assert found.get("d", string) == string
    assert {name: text for name, text in found.items() if name not in ("d", "")} == {
        "a": pointer, "b": pointer, "c": None, "e": string, "f": view, "g": None, "h": None
    }  # fmt: skip


def test_types_have_the_names_of_the_source(functions: dict[str, SubprogramInfo]) -> None:
    parameters = by_name(functions["kinds"])
    names = {name: one.type.name for name, one in parameters.items()}
    for name, expected in {
        "a": "mode", "b": "color", "c": "outer", "d": "const outer *", "e": "length",
        "f": "int (*)(char, double)", "g": "int (&)[3]", "h": "const derived &",
        "i": "volatile int *const", "j": "double *&&", "k": "bool", "l": "wchar_t", "m": "int8_t",
    }.items():  # fmt: skip
        assert names[name] == expected
    kinds = {name: one.type.kind for name, one in parameters.items()}
    assert kinds["m"] is TypeKind.INTEGER
    assert kinds["l"] is TypeKind.CHARACTER
    target = parameters["f"].type.target
    assert target is not None
    assert target.kind is TypeKind.FUNCTION


def test_enums_have_their_values(functions: dict[str, SubprogramInfo]) -> None:
    parameters = by_name(functions["kinds"])
    mode, color = parameters["a"].type, parameters["b"].type
    assert mode.flags
    assert mode.enumerators == (Enumerator("READ", 1), Enumerator("WRITE", 2), Enumerator("ALL", 4))
    assert (color.signed, color.flags, color.size) == (True, False, 1)
    assert color.enumerators == (Enumerator("RED", -1), Enumerator("BLUE", 5))


def test_members_are_where_the_compiler_has_them(functions: dict[str, SubprogramInfo]) -> None:
    parameters = by_name(functions["kinds"])
    outer = parameters["c"].type
    places = [(one.name, one.offset * 8 + one.bit_offset, one.bit_size) for one in outer.fields]
    assert places == [("a", 0, 0), ("b", 16, 3), ("c", 19, 5), ("name", 24, 0), ("", 64, 0)]
    assert (outer.size, outer.fields[0].type.fields[0].name) == (12, "x")
    pointed, referred = parameters["d"].type.target, parameters["h"].type.target
    assert pointed is not None
    assert (pointed.kind, pointed.fields, pointed.size) == (TypeKind.STRUCT, (), 12)
    assert referred is not None
    assert [(one.name, one.offset) for one in referred.fields] == [("inner", 8), ("d", 16)]


def test_methods_have_this_and_static_ones_do_not(functions: dict[str, SubprogramInfo]) -> None:
    method = functions["thing::method(int) const"]
    assert [(one.name, one.artificial) for one in method.parameters] == [("this", True), ("value", False)]
    assert method.returns is not None
    fixed = functions["thing::fixed(int)"]
    assert [one.name for one in fixed.parameters] == ["value"]
    constructor = functions["thing::thing(short)"]
    assert [one.name for one in constructor.parameters] == ["this", "first"]
    assert constructor.returns is None
    assert all(one.pieces for one in constructor.parameters)


def test_the_only_parameter_may_be_left_out(tmp_path: Path) -> None:
    """clang does not describe what is passed by invisible reference and not used."""
    source = tmp_path / "only.cpp"
    source.write_text(
        "struct copied { copied(const copied &); ~copied(); int x; };\nint ignores(copied) { return 3; }\n"
    )
    library = tmp_path / "only.so"
    command = ["clang++", "-g", "-O0", "-finstrument-functions", "-shared", "-fPIC", str(source)]
    subprocess.run([*command, "-o", str(library)], check=True, capture_output=True)
    with ElfFile(library) as elf:
        subprograms = Subprograms([elf])
        (start,) = SymbolTable([elf]).named("_Z7ignores6copied")
        (function,) = subprograms.at([start])
        assert subprograms.problems == []
    assert function is not None
    (parameter,) = function.parameters
    assert (parameter.type.name, parameter.pieces) == ("copied", None)
    assert parameter.reason == "the debug information does not describe it"
