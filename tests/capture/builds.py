"""Compiles generated programs: once to learn the truth, then as they are traced."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.capture.programs import Program

__all__ = ["Build", "BuildError", "ReferenceBuild", "SharedObjects", "traced_program"]

FOLDER = Path(__file__).parent
COMMON = (
    *("-w", "-Wno-psabi", f"-I{FOLDER}"),
    # The same arithmetic whatever the compiler and the level.
    *("-fwrapv", "-ffp-contract=off", "-fno-strict-aliasing"),
)
NO_LIBRARY_CALLS = "-finstrument-functions-exclude-file-list=/usr/include,/usr/lib"


class BuildError(Exception):
    """A generated program could not be compiled, or did not run."""


@dataclass(frozen=True)
class Build:
    """How a program is compiled to be traced.

    Attributes:
        compiler: "gcc" or "clang".
        level: "-O0" to "-O3".
        options: other flags.
    """

    compiler: str
    level: str
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join([self.compiler, self.level, *self.options])


def _run(*command: str | Path, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BuildError(f"{' '.join(map(str, command))}\nexit {done.returncode}\n{done.stderr[:4000]}")
    return done.stdout


def _compiler(name: str, *, cxx: bool) -> list[str]:
    if not cxx:
        return [name, "-std=gnu11", "-D_GNU_SOURCE"]
    return [{"gcc": "g++", "clang": "clang++"}[name], "-std=gnu++17"]


class ReferenceBuild:
    """The program that logs what is passed and returned: without instrumentation or optimization."""

    def __init__(self, program: Program, folder: Path) -> None:
        self._program = folder / "reference"
        self._log = folder / "truth.jsonl"
        truth = folder / "truth_reference.o"
        _run("gcc", "-g0", "-O1", "-DTRUTH", "-c", FOLDER / "truth.c", "-o", truth)
        compiler = _compiler("gcc", cxx=program.cxx)
        sources = [*program.units, program.driver]
        _run(*compiler, *COMMON, "-DTRUTH", "-O0", "-g0", *sources, truth, "-o", self._program)

    def log(self) -> Path:
        """Runs it; returns what it wrote."""
        _run(self._program, TRUTH_LOG=str(self._log))
        return self._log


class SharedObjects:
    """What all traced builds of a program by one compiler have in common: the driver, not instrumented."""

    def __init__(self, program: Program, folder: Path, compiler: str) -> None:
        driver, truth = folder / f"driver_{compiler}.o", folder / f"truth_{compiler}.o"
        _run(compiler, "-g", "-O1", "-fPIC", "-c", FOLDER / "truth.c", "-o", truth)
        command = [*_compiler(compiler, cxx=program.cxx), *COMMON, "-g", "-O0", "-fPIC"]
        _run(*command, "-c", program.driver, "-o", driver)
        self.files = (driver, truth)


def traced_program(program: Program, folder: Path, build: Build, shared: SharedObjects) -> Path:
    """Compiles a program to be traced.

    Args:
        program: what to compile.
        folder: where to.
        build: how.
        shared: of the same compiler.
    """
    path = folder / f"traced_{str(build).replace(' ', '').replace('/', '_')}"
    flags = [*COMMON, "-g", build.level, *build.options, "-finstrument-functions"]
    if build.compiler == "gcc":
        flags.append(NO_LIBRARY_CALLS)
    _run(*_compiler(build.compiler, cxx=program.cxx), *flags, *program.units, *shared.files, "-o", path)
    return path
