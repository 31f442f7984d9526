"""Inlined functions at addresses, against addr2line."""

from __future__ import annotations

import posixpath
from pathlib import Path

import pytest

from calltrace_collector.crash.names import plain_name
from calltrace_collector.symbols.demangle import demangle
from tests.support.compile import ROOT
from tests.support.crashes import CRASHES, PLAIN, compile_crash
from tests.unit.symbols.oracles import instructions, module, run

Frame = tuple[str, str | None, int | None]


def addr2line_frames(path: Path, addresses: list[int]) -> list[list[Frame]]:
    """Functions at each address, innermost first, with file and line."""
    text = "".join(f"{address:#x}\n" for address in addresses)
    output = run("addr2line", "--inlines", "--functions", "--addresses", "-e", path, text=text)
    found: list[list[Frame]] = []
    lines = iter(output.splitlines())
    for line in lines:
        if line.startswith("0x"):
            found.append([])
            continue
        file, _, number = next(lines).partition(" (")[0].rpartition(":")
        known = number not in {"?", "0"}
        found[-1].append((line, posixpath.basename(file) if known else None, int(number) if known else None))
    return found


@pytest.mark.parametrize("flags", [("-gdwarf-4",), ("-gdwarf-5",)])
@pytest.mark.parametrize("name", ["inlined", "vector_at"])
def test_inlined_functions_are_those_of_addr2line(tmp_path: Path, name: str, flags: tuple[str, ...]) -> None:
    (crash,) = [crash for crash in CRASHES if crash.name == name]
    program, _ = compile_crash(crash, (*PLAIN["gcc-O2"], *flags), tmp_path)
    addresses = instructions(program)
    symbols = module(program)
    functions, lines = symbols.functions(addresses), symbols.locations(addresses)
    compared = deepest = 0
    for address, expected, inlined, function, line in zip(
        addresses,
        addr2line_frames(program, addresses),
        symbols.inlined(addresses),
        functions,
        lines,
        strict=True,
    ):
        if expected[0][1] is None or function is None:
            assert not inlined
            continue
        names = [*(one.linkage_name for one in inlined), plain_name(function.linkage_name)]
        places = [line, *(one.call for one in inlined)]
        found = [
            (name, posixpath.basename(place.file) if place else None, place.line if place else None)
            for name, place in zip(names, places, strict=True)
        ]
        # addr2line says of code of no line, of which lines are left out, the line before.
        assert demangle([name for name, _, _ in found]) == demangle(
            [plain_name(name) for name, _, _ in expected]
        ), hex(address)
        assert [place[2] for place in found[1:]] == [place[2] for place in expected[1:]], hex(address)
        compared += 1
        deepest = max(deepest, len(found))
    assert compared > 10
    assert deepest >= 3
    assert symbols.problems == []


@pytest.mark.parametrize("version", ["-gdwarf-4", "-gdwarf-5"])
def test_split_debug_information_says_the_same(tmp_path: Path, version: str) -> None:
    (crash,) = [crash for crash in CRASHES if crash.name == "inlined"]
    answers = []
    for folder, flags in ((tmp_path / "one", ()), (tmp_path / "split", ("-gsplit-dwarf",))):
        folder.mkdir()
        program, _ = compile_crash(crash, (*PLAIN["gcc-O2"], version, *flags), folder)
        answers.append(module(program).inlined(instructions(program)))
    assert any(answers[0])
    assert answers[0] == answers[1]


def test_what_was_inlined_when_linking_is_found(tmp_path: Path) -> None:
    (crash,) = [crash for crash in CRASHES if crash.name == "inlined"]
    program, _ = compile_crash(crash, (*PLAIN["gcc-O2"], "-flto=1"), tmp_path)
    found = module(program).inlined(instructions(program))
    chains = {tuple(one.name for one in calls) for calls in found}
    assert ("read_y", "height") in {chain[:2] for chain in chains}


def test_an_address_in_no_function_has_nothing_inlined(tmp_path: Path) -> None:
    source = ROOT / "tests/fixtures/crashes/inlined.c"
    program = tmp_path / "program"
    run("gcc", "-O2", source, "-o", program)
    assert module(program).inlined([0, 1 << 63, 0x1000]) == [[], [], []]
