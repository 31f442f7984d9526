"""Values of real programs, which nobody here wrote, are those that gdb sees in the same run."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.capture_gdb import compare, watch
from tests.support.collector import Collector
from tests.support.compile import compile_c, compile_cxx
from tests.support.sources import source_distribution

INSTRUMENTED = ("-finstrument-functions", "-w", "-Wl,--no-as-needed", "-lm")
LEVELS = [("-O0", False), ("-O2", True)]


@pytest.mark.parametrize(("level", "at_entry"), LEVELS)
def test_a_real_program_in_c(collector: Collector, tmp_path: Path, level: str, at_entry: bool) -> None:
    sources = source_distribution("zopfli", "0.2.3") / "zopfli" / "src" / "zopfli"
    files = [*sorted(sources.glob("*.c")), Path("tests/fixtures/zopfli_main.c")]
    program = compile_c(files, tmp_path / "program", (level, *INSTRUMENTED, f"-I{sources}"))
    data = tmp_path / "data"
    data.write_bytes(random.Random(1).randbytes(20) * 2)
    pid, seen = watch(collector, program, tmp_path, data, tmp_path / "data.gz", at_entry=at_entry, calls=60)
    verdicts = compare(seen, collector.calls(pid))
    assert verdicts.wrong == []
    assert verdicts.calls >= 1000
    assert verdicts.right > 2 * verdicts.calls


@pytest.mark.parametrize(("level", "at_entry"), LEVELS)
def test_a_real_program_in_cxx(collector: Collector, tmp_path: Path, level: str, at_entry: bool) -> None:
    sources = source_distribution("ujson", "5.10.0") / "deps" / "double-conversion" / "double-conversion"
    files = [*sorted(sources.glob("*.cc")), Path("tests/fixtures/double_conversion_main.cpp")]
    program = compile_cxx(files, tmp_path / "program", (level, *INSTRUMENTED, f"-I{sources}"))
    pid, seen = watch(collector, program, tmp_path, at_entry=at_entry, calls=40)
    verdicts = compare(seen, collector.calls(pid))
    assert verdicts.wrong == []
    assert verdicts.calls >= 1000
    assert verdicts.right > verdicts.calls
