"""Programs of tests/fixtures, compiled when a test asks for them, once for each set of flags."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.compile import compile_c, compile_cxx

__all__ = ["builder"]

INSTRUMENTED = ("-O0", "-finstrument-functions", "-pthread")


def builder(folder: Path) -> Callable[..., Path]:
    """Returns a function that compiles a source and returns the program: build("counted.c", "-O2", ...).

    Without flags it is instrumented, and not optimized.
    """
    built: dict[tuple[str, ...], Path] = {}

    def build(source: str, *flags: str) -> Path:
        key = (source, *flags)
        if key not in built:
            output = folder / f"{Path(source).stem}-{len(built)}"
            compiled = compile_cxx if source.endswith(".cpp") else compile_c
            built[key] = compiled([Path("tests/fixtures") / source], output, flags or INSTRUMENTED)
        return built[key]

    return build
