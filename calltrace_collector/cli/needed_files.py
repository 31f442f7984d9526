"""The files that a program will be made of when it runs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from calltrace_collector.symbols.elf import ElfFile

PATIENCE_S = 10.0
_LINE = re.compile(rb"\t(?:.* => )?(/.*) \(0x[0-9a-f]+\)")


def needed_files(program: Path, environment: Mapping[str, str]) -> list[Path]:
    """Returns a program and the libraries that the dynamic linker would load with it: what ldd prints.

    The program does not run, only the dynamic linker that it names, and that only looks. Libraries that the
    program loads by itself later are not among them. Of one that cannot run there is only itself.

    Args:
        program: a path.
        environment: what it would run with: LD_LIBRARY_PATH and LD_PRELOAD count.

    Raises:
        SymbolError: it is no program of the kind that can be traced.
    """
    with ElfFile(program) as elf:
        linker = elf.interpreter
    if linker is None:
        return [program]
    try:
        listed = subprocess.run(
            [linker, "--list", str(program.absolute())],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return [program]
    paths = [Path(found.group(1).decode("utf-8", "surrogateescape")) for found in _LINE.finditer(listed)]
    return [program, *dict.fromkeys(paths)]
