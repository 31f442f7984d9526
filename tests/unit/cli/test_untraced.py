"""Why a program was not traced."""

import subprocess
from pathlib import Path

import pytest

from calltrace_collector.cli.untraced import why_untraced

QUESTION = "was it compiled with -finstrument-functions?"


def compiled(folder: Path, *flags: str) -> Path:
    source = folder / "main.c"
    source.write_text("int main(void) { return 0; }\n")
    program = folder / "program"
    subprocess.run(["gcc", *flags, "-o", program, source], check=True)
    return program


@pytest.mark.parametrize("flags", [[], ["-static"]])
def test_no_hooks(flags: list[str], tmp_path: Path) -> None:
    program = compiled(tmp_path, *flags)
    assert why_untraced(str(program), 0) == f"{QUESTION} ({program} calls no hooks, or is linked statically)"


def test_instrumented_and_yet_no_call(tmp_path: Path) -> None:
    program = compiled(tmp_path, "-finstrument-functions")
    assert why_untraced(str(program), 0).startswith(f"{QUESTION} ({program} was; ")


def test_a_script(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert why_untraced(str(script), 0).startswith(f"{QUESTION} ({script} is a script: ")


def test_a_32_bit_program(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF\x01" + bytes(100))
    program.chmod(0o755)
    assert why_untraced(str(program), 0).startswith(f"{QUESTION} ({program} is a 32-bit program")


def test_what_it_started_was_traced() -> None:
    assert why_untraced("sh", 1).endswith(
        "(sh was not, it seems, but a process that it started was traced: see calltrace ps)"
    )
    assert "but 3 processes that it started were traced" in why_untraced("sh", 3)


def test_a_program_that_is_gone() -> None:
    assert why_untraced("/no/such/program", 0) == QUESTION
