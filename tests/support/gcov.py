"""How often each function ran, counted by the compiler's own instrumentation."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

FLAGS = ("--coverage", "-fprofile-update=atomic")


def function_counts(folder: Path) -> dict[str, int]:
    """Reads the .gcda files in a folder: executions of each function, by linkage name.

    Functions that never ran are there with 0; those that the compiler made by itself (implicit constructors,
    say) gcov leaves out. The functions of one name in several translation units (static ones, and copies of
    inline functions of which the linker keeps one) are added up, as a tracer sees them under one name.
    """
    data = sorted(folder.glob("*.gcda"))
    subprocess.run(
        ["gcov", "--json-format", *(file.name for file in data)], cwd=folder, check=True, capture_output=True
    )
    counts: dict[str, int] = {}
    for file in folder.glob("*.gcov.json.gz"):
        document = json.loads(gzip.decompress(file.read_bytes()))
        for source in document["files"]:
            for function in source["functions"]:
                name = function["name"]
                counts[name] = counts.get(name, 0) + function["execution_count"]
    return counts
