from pathlib import Path

import pytest

from calltrace_collector.errors import SymbolError
from calltrace_collector.symbols.probe import build_id, is_instrumented
from tests.unit.symbols import oracles
from tests.unit.symbols.conftest import Build


@pytest.mark.parametrize(
    ("name", "expected"), [("library", True), ("uninstrumented", False), ("plain", False), ("labels", False)]
)
def test_is_instrumented(build: Build, name: str, expected: bool) -> None:
    # "plain" calls hooks, but brings them along: nothing of ours would be called.
    assert is_instrumented(build(name)) is expected


def test_a_stripped_program_is_still_instrumented(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "stripped"
    oracles.run("strip", "-o", path, build("library"))
    assert is_instrumented(path)


def test_build_id(build: Build, tmp_path: Path) -> None:
    path = build("plain")
    assert build_id(path) == oracles.readelf_build_id(path) != b""
    without = tmp_path / "without"
    oracles.run("objcopy", "--remove-section=.note.gnu.build-id", path, without)
    assert build_id(without) is None


def test_scripts_are_refused(tmp_path: Path) -> None:
    script = tmp_path / "script.sh"
    script.write_text("#!/bin/sh\n")
    for probe in (build_id, is_instrumented):
        with pytest.raises(SymbolError, match="is not an ELF file"):
            probe(script)
