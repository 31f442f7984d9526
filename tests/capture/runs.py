"""Runs generated programs, traced, and asks what was captured."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.capture.builds import Build, ReferenceBuild, SharedObjects, traced_program
from tests.capture.programs import write_program
from tests.capture.scoreboard import Scoreboard, Shown
from tests.capture.truth import read_truth
from tests.support.collector import Collector

__all__ = ["COMPILERS", "LEVELS", "OPTIONS", "Oracle", "by_collector", "with_options"]

COMPILERS = ("gcc", "clang")
LEVELS = ("-O0", "-O1", "-O2", "-O3")
Tracer = Callable[[Path], tuple[list[Shown], str]]
"""Gives what is shown of a program's calls, and what the program printed."""

WAIT_S = "100"
"""How long a program may wait for the plans of its functions."""

OPTIONS = (
    (),
    ("-fno-plt",),
    ("-fstack-protector-strong",),
    ("-fstack-protector-all", "-fcf-protection"),
    ("-march=haswell",),
    ("-fno-omit-frame-pointer",),
    ("-no-pie", "-fno-pie"),
    ("-fPIC",),
    ("-gdwarf-4",),
    ("-flto",),
    ("-Os",),
    ("-gz",),
)
"""Options that change prologues, calls and debug information; the last level given counts."""


class Oracle:
    """Programs of one seed after the other, compared with what a collector shows of them.

    Args:
        trace: runs a program, and tells what is shown of its calls.
        board: where verdicts are counted.
    """

    def __init__(self, trace: Tracer, board: Scoreboard) -> None:
        self._trace = trace
        self._board = board

    def check(
        self,
        seed: int,
        count: int,
        builds: list[Build],
        *,
        cxx: bool,
        is_plain: bool = False,
        keep: Path | None = None,
    ) -> None:
        """Writes the program of a seed, and checks it as each of the builds.

        Args:
            seed: the program's.
            count: of its functions.
            builds: how to compile it.
            cxx: C++, not C.
            is_plain: as of write_program().
            keep: the folder for the program; by default one that is removed.
        """
        with TemporaryDirectory(prefix="ct-oracle-") as temporary:
            folder = keep or Path(temporary)
            program = write_program(folder, seed, count, cxx=cxx, is_plain=is_plain)
            truth = read_truth(ReferenceBuild(program, folder).log())
            shared = {build.compiler: SharedObjects(program, folder, build.compiler) for build in builds}

            def trace(build: Build) -> tuple[list[Shown], str]:
                return self._trace(traced_program(program, folder, build, shared[build.compiler]))

            with ThreadPoolExecutor(2) as pool:
                traces = pool.map(trace, builds)
                for build, (shown, output) in zip(builds, traces, strict=True):
                    setting = f"{'C++' if cxx else 'C'} {build}"
                    self._board.add_program(setting, program.functions, truth, shown, objects_of(output))


def by_collector(collector: Collector) -> Tracer:
    """Traces the way a user does."""

    def trace(program: Path) -> tuple[list[Shown], str]:
        pid, output = collector.run(program, CALLTRACE_CAPTURE_ARGS="1", CALLTRACE_CAPTURE_WAIT=WAIT_S)
        shown = [
            Shown(call["function"], call["arguments"], call["return_value"]) for call in collector.calls(pid)
        ]
        return shown, output

    return trace


def objects_of(output: str) -> dict[str, int]:
    """Reads what a traced program prints of its objects: their addresses by name."""
    return {name: int(address, 16) for name, address, _ in map(str.split, output.splitlines())}


def with_options(random: Random, compiler: str, level: str) -> Build:
    """A build with options that the random numbers choose."""
    return Build(compiler, level, random.choice(OPTIONS))
