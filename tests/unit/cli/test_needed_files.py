"""The files of a program are those that the dynamic linker would load; ldd says the same."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from calltrace_collector.cli.needed_files import needed_files
from calltrace_collector.errors import SymbolError


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that needs a library beside it."""
    (tmp_path / "it.c").write_text("int it(void) { return 1; }\n")
    (tmp_path / "main.c").write_text("int it(void);\nint main(void) { return it(); }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", "libit.so", "it.c"], cwd=tmp_path, check=True)
    subprocess.run(["gcc", "-o", "a program", "main.c", "-L.", "-lit", "-lm"], cwd=tmp_path, check=True)
    return tmp_path / "a program"


def test_what_ldd_says(program: Path) -> None:
    environment = {**os.environ, "LD_LIBRARY_PATH": str(program.parent)}
    said = subprocess.run(["ldd", program], env=environment, capture_output=True, text=True, check=True)
    expected = re.findall(r"(/\S+) \(0x", said.stdout)
    assert str(program.parent / "libit.so") in expected
    assert [str(path) for path in needed_files(program, environment)] == [str(program), *expected]


def test_a_program_that_cannot_run_because_a_library_is_missing(program: Path) -> None:
    (program.parent / "libit.so").unlink()
    assert needed_files(program, os.environ) == [program]


def test_a_program_that_is_linked_statically_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text('#include <stdio.h>\nint main(void) { return !fopen("ran", "w"); }\n')
    subprocess.run(["gcc", "-static", "-o", "prog", "main.c"], cwd=tmp_path, check=True)
    assert needed_files(tmp_path / "prog", os.environ) == [tmp_path / "prog"]
    assert not (tmp_path / "ran").exists()


def test_a_dynamic_linker_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    command = ["gcc", "-Wl,--dynamic-linker=/no/such/ld.so", "-o", "prog", "main.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert needed_files(tmp_path / "prog", os.environ) == [tmp_path / "prog"]


def test_a_script_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\n")
    with pytest.raises(SymbolError):
        needed_files(tmp_path / "script", os.environ)
