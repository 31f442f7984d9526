"""Compiles the programs that are measured, and the hooks that they are measured with."""

from __future__ import annotations

import os
import shlex
import subprocess
from functools import cached_property
from pathlib import Path

SOURCES = Path(__file__).resolve().parent
_COMMON = ("-g", "-Wall", "-Wextra", "-pthread")
_C = ("-std=gnu11", "-D_GNU_SOURCE")
# Every call is to be one: none becomes a jump.
_INSTRUMENTED = ("-finstrument-functions", "-fno-optimize-sibling-calls")


class Workshop:
    """Compiles into a folder, each thing once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def _c_compiler(self) -> list[str]:
        return shlex.split(os.environ.get("CC", "gcc"))

    @cached_property
    def _cxx_compiler(self) -> list[str]:
        return shlex.split(os.environ.get("CXX", "g++"))

    def program(self, name: str, *, instrumented: bool = True) -> Path:
        """Returns programs/NAME.c or .cpp, compiled: C as released, C++ without optimization.

        Unoptimized C++ is what makes every little function of the standard library a call.
        """
        output = self.folder / (name if instrumented else f"{name}-plain")
        hooks = _INSTRUMENTED if instrumented else ()
        source = SOURCES / "programs" / f"{name}.c"
        if source.exists():
            self._compile([*self._c_compiler, *_C, "-O2", *hooks], source, output)
        else:
            self._compile([*self._cxx_compiler, "-O0", *hooks], source.with_suffix(".cpp"), output)
        return output

    def hooks(self, name: str) -> Path:
        """Returns hooks/NAME.c as a library to preload."""
        output = self.folder / f"{name}.so"
        compiler = [*self._c_compiler, *_C, "-O2", "-fPIC", "-shared"]
        self._compile(compiler, SOURCES / "hooks" / f"{name}.c", output)
        return output

    def _compile(self, compiler: list[str], source: Path, output: Path) -> None:
        if not output.exists():
            subprocess.run([*compiler, *_COMMON, "-o", str(output), str(source)], check=True)
