"""Every function's calls are as many as gcov counts in the same run."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

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


def first_names(program: Path) -> dict[str, str]:
    """Maps each name of a function to the first of all names that its address has.

    A C++ constructor often has two, of which gcov and a symbol table may choose differently.
    """
    table = subprocess.run(["nm", str(program)], check=True, capture_output=True, text=True).stdout
    names: dict[str, list[str]] = {}
    for line in table.splitlines():
        *address, kind, name = line.split()
        if address and kind in "tTwWi":
            names.setdefault(address[0], []).append(name)
    return {name: min(group) for group in names.values() for name in group}


def compare(collector: Collector, pid: int, folder: Path) -> int:
    """Checks the report against gcov; returns the number of calls that gcov counts."""
    first = first_names(folder / "program")
    expected: Counter[str] = Counter()
    for name, count in gcov.function_counts(folder).items():
        expected[first.get(name, name)] += count
    counted: Counter[str] = Counter()
    for row in collector.report(pid):
        counted[first.get(row["linkage_name"], row["linkage_name"])] += row["calls"]
    known_to_gcov = {name: calls for name, calls in counted.items() if name in expected}
    assert known_to_gcov == {name: count for name, count in expected.items() if count}
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


def test_a_program_full_of_templates(collector: Collector, tmp_path: Path) -> None:
    source = ROOT / "tests" / "fixtures" / "containers.cpp"
    program = build_with_counters("g++", [source], (*PLAIN, "-std=c++17"), tmp_path)
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
