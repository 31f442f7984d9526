"""Where parameters are on entry, and results on return, against what gdb sees there."""

from pathlib import Path

import pytest

from tests.unit.capture import entry_oracle
from tests.unit.capture.entry_programs import Program

# The least part of arguments and of results whose place is known.
KNOWN = {
    ("gcc", "-O0"): (1.0, 1.0),
    ("gcc", "-O2"): (0.95, 0.95),
    ("clang", "-O0"): (0.95, 1.0),
    ("clang", "-O2"): (0.6, 1.0),
    ("g++", "-O0"): (0.95, 0.95),
    ("g++", "-O2"): (0.85, 0.9),
    ("clang++", "-O0"): (0.85, 0.9),
    ("clang++", "-O2"): (0.55, 0.9),
}


@pytest.mark.parametrize(("compiler", "level"), KNOWN)
def test_places_are_those_of_the_compiler(compiler: str, level: str, tmp_path: Path) -> None:
    program = Program(1, is_cxx=compiler.endswith("++"), uses_all=level != "-O0")
    path = entry_oracle.build(program, compiler, [level], tmp_path)
    outcome = entry_oracle.compare(program, path, tmp_path)
    assert outcome.wrong == []
    arguments, results = KNOWN[compiler, level]
    counts = outcome.counts
    assert counts["argument"] >= arguments * (counts["argument"] + counts["unavailable"]) > 100
    assert counts["result"] >= results * (counts["result"] + counts["result unavailable"]) > 30


@pytest.mark.parametrize("flags", [["-gdwarf-4"], ["-gdwarf-4", "-fdebug-types-section"], ["-gdwarf-3"]])
def test_older_debug_information_says_nothing_wrong(flags: list[str], tmp_path: Path) -> None:
    program = Program(2, is_cxx=True, uses_all=True)
    path = entry_oracle.build(program, "g++", ["-O1", *flags], tmp_path)
    outcome = entry_oracle.compare(program, path, tmp_path)
    assert outcome.wrong == []
    assert outcome.counts["argument"] > 60


def test_units_of_link_time_optimization_say_nothing_wrong(tmp_path: Path) -> None:
    program = Program(3, is_cxx=False, uses_all=True)
    path = entry_oracle.build(program, "gcc", ["-O2", "-flto=1"], tmp_path)
    outcome = entry_oracle.compare(program, path, tmp_path)
    assert outcome.wrong == []
    assert outcome.counts["argument"] + outcome.counts["unavailable"] > 50


def test_split_debug_information_is_read_too(tmp_path: Path) -> None:
    program = Program(4, is_cxx=False, uses_all=True)
    flags = ["-O2", "-gsplit-dwarf", "-dumpdir", f"{tmp_path}/"]
    path = entry_oracle.build(program, "gcc", flags, tmp_path)
    outcome = entry_oracle.compare(program, path, tmp_path)
    assert outcome.wrong == []
    assert outcome.counts["argument"] > 100
