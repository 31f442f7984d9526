"""Compiles the C and C++ programs that tests run."""

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SANITIZE = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


class CompileError(Exception):
    """The compiler refused; the message is its command line and what it said."""


def compile_c(sources: Sequence[Path], output: Path, flags: Sequence[str] = ("-O2",)) -> Path:
    """Compiles and links C sources, with warnings as errors and the project's root as include path.

    Args:
        sources: Files to compile; relative ones count from the project's root.
        output: The program or library to make.
        flags: Options for the compiler, which is that of the environment's CC, else gcc.

    Returns:
        The output's path.

    Raises:
        CompileError: With the compiler's output.
    """
    compiler = shlex.split(os.environ.get("CC", "gcc"))
    return _compile([*compiler, "-std=gnu11", "-D_GNU_SOURCE"], sources, output, flags)


def compile_cxx(sources: Sequence[Path], output: Path, flags: Sequence[str] = ("-O2",)) -> Path:
    """Compiles and links C++ sources as compile_c does C; the compiler is that of CXX, else g++."""
    return _compile([*shlex.split(os.environ.get("CXX", "g++")), "-std=gnu++17"], sources, output, flags)


def _compile(compiler: Sequence[str], sources: Sequence[Path], output: Path, flags: Sequence[str]) -> Path:
    command = [
        *compiler,
        *("-g", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}"),
        *flags,
        *("-o", str(output)),
        *(str(ROOT / source) for source in sources),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CompileError(f"{shlex.join(command)}\n{done.stderr}")
    return output
