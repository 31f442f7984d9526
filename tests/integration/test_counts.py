"""Every function's calls are as many as gcov counts in the same run."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import gcov
from tests.support.collector import Collector
from tests.support.compile import ROOT
from tests.support.sources import source_distribution

PLAIN = ("-O0", "-g", "-finstrument-functions", "-pthread", *gcov.FLAGS)


def build_with_counters(compiler: str, sources: Sequence[Path], flags: Sequence[str], folder: Path) -> Path:
    """Compiles each source on its own, so that gcov's files have simple names, and links the program."""
    objects = []
    for source in sources:
        output = folder / f"{source.stem}.o"
        subprocess.run(
            [compiler, *flags, f"-I{ROOT}", "-c", str(source), "-o", str(output)],
            check=True,
            cwd=folder,
            capture_output=True,
        )
        objects.append(str(output))
    program = folder / "program"
    command = [compiler, *flags, *objects, "-lm", "-o", str(program)]
    subprocess.run(command, check=True, cwd=folder, capture_output=True)
    return program


def compare(collector: Collector, pid: int, folder: Path) -> int:
    """Checks the report against gcov; returns the number of calls."""
    expected = gcov.function_counts(folder)
    counted: dict[str, int] = {}
    for row in collector.report(pid):
        counted[row["linkage_name"]] = counted.get(row["linkage_name"], 0) + row["calls"]
    assert counted == expected
    return sum(expected.values())


def test_a_real_program_in_c(collector: Collector, tmp_path: Path) -> None:
    sources = source_distribution("zopfli", "0.2.3") / "zopfli" / "src" / "zopfli"
    files = [*sorted(sources.glob("*.c")), ROOT / "tests" / "fixtures" / "zopfli_main.c"]
    program = build_with_counters("gcc", files, (*PLAIN, f"-I{sources}"), tmp_path)
    data = tmp_path / "data"
    data.write_bytes(random.Random(1).randbytes(700) * 3 + b"abcabcabd" * 300)
    pid, _ = collector.run(program, data, tmp_path / "data.gz")
    assert compare(collector, pid, tmp_path) > 100_000
    assert collector.process(pid)["calls"] == sum(row["calls"] for row in collector.report(pid))


@pytest.mark.parametrize("optimisation", ["-O0", "-O2"])
def test_a_program_full_of_templates(collector: Collector, tmp_path: Path, optimisation: str) -> None:
    source = ROOT / "tests" / "fixtures" / "containers.cpp"
    program = build_with_counters("g++", [source], (*PLAIN, "-std=c++17", optimisation), tmp_path)
    pid, _ = collector.run(program)
    assert compare(collector, pid, tmp_path) > 10_000
    names = {row["function"] for row in collector.report(pid)}
    assert any(name.startswith("std::") and "<" in name for name in names)


def test_eight_threads_at_once(collector: Collector, tmp_path: Path) -> None:
    source = ROOT / "tests" / "fixtures" / "crowd.c"
    program = build_with_counters("gcc", [source], PLAIN, tmp_path)
    pid, _ = collector.run(program)
    assert compare(collector, pid, tmp_path) > 500_000
    assert collector.process(pid)["threads"] == 9
