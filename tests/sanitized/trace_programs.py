"""Traces programs that are built with a sanitizer, with an agent that is; run by `make sanitize`.

Usage: trace_programs.py address|thread FOLDER, where FOLDER is the sanitizer's build folder. Any report of
the sanitizer ends a program with a status that is not 0.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.collector import Collector
from tests.support.compile import compile_c

RUNTIMES = {"address": "libasan.so", "thread": "libtsan.so"}
PROGRAMS = [("crowd.c", ()), ("churn.c", ("50",)), ("lifecycle.c", ("fork",)), ("lifecycle.c", ("exit", "0"))]


def runtime(sanitizer: str) -> str:
    """The path of a sanitizer's runtime, which must be loaded before everything else."""
    name = f"-print-file-name={RUNTIMES[sanitizer]}"
    return subprocess.run(["gcc", name], capture_output=True, text=True, check=True).stdout.strip()


def main(sanitizer: str, build: Path) -> None:
    """Checks that each program makes as many calls as it does without the sanitizer."""
    agent = build / "agent" / "libcalltrace.so"
    with tempfile.TemporaryDirectory() as folder, Collector() as collector:
        for source, arguments in PROGRAMS:
            fixture = Path("tests/fixtures") / source
            flags = ("-O1", "-finstrument-functions", "-pthread")
            plain = compile_c([fixture], Path(folder) / "plain", flags)
            checked = compile_c([fixture], Path(folder) / "checked", (*flags, f"-fsanitize={sanitizer}"))
            expected, _ = collector.run(plain, *arguments)
            got, _ = collector.run(
                checked,
                *arguments,
                LD_PRELOAD=f"{runtime(sanitizer)} {agent}",
                TSAN_OPTIONS="die_after_fork=0",  # the child's agent has a thread of its own
            )
            calls = [collector.process(pid)["calls"] for pid in (expected, got)]
            assert calls[0] == calls[1] > 0, (source, arguments, calls)
            sys.stdout.write(f"{sanitizer}: {source} {' '.join(arguments)}: {calls[1]} calls\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).resolve())
