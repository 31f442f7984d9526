"""Values of random programs are those that the programs themselves log, however they are compiled.

`make capture-oracle` does the same with more programs, and prints what is unavailable and why.
"""

from __future__ import annotations

import random

import pytest

from tests.capture.builds import Build
from tests.capture.runs import COMPILERS, LEVELS, Oracle, by_collector, with_options
from tests.capture.scoreboard import ARGUMENT, RESULT, Scoreboard
from tests.support.collector import Collector

FUNCTIONS = 40
FIXED_SEED = 20
FLOORS = {
    ("C gcc -O0", ARGUMENT): 1.0,
    ("C gcc -O0", RESULT): 1.0,
    ("C++ gcc -O0", ARGUMENT): 1.0,
    ("C++ gcc -O0", RESULT): 1.0,
    ("C++ clang -O0", ARGUMENT): 0.97,
    **{
        (f"{language} {compiler} {level}", part): floor
        for language in ("C", "C++")
        for compiler in COMPILERS
        for level in ("-O2", "-O3")
        for part, floor in ((ARGUMENT, 0.75), (RESULT, 0.96))
    },
}
"""How much must be right, of what a program's calls were passed and returned."""


@pytest.mark.parametrize("is_cxx", [False, True], ids=["C", "C++"])
def test_values_are_right_and_few_are_unavailable(collector: Collector, is_cxx: bool) -> None:
    board = Scoreboard()
    builds = [Build(compiler, level) for compiler in COMPILERS for level in LEVELS]
    Oracle(by_collector(collector), board).check(FIXED_SEED, FUNCTIONS, builds, cxx=is_cxx, is_plain=True)
    assert board.wrong == []
    language = "C++ " if is_cxx else "C "
    for (setting, part), floor in FLOORS.items():
        if setting.startswith(language):
            assert board.share(setting, part) >= floor, (setting, part, board.lines())


@pytest.mark.parametrize("is_cxx", [False, True], ids=["C", "C++"])
def test_values_of_a_new_program_are_right(collector: Collector, is_cxx: bool) -> None:
    seed = random.randrange(1 << 32)
    chosen = random.Random(seed)
    board = Scoreboard()
    builds = [with_options(chosen, compiler, level) for compiler in COMPILERS for level in LEVELS]
    Oracle(by_collector(collector), board).check(seed, FUNCTIONS // 2, builds, cxx=is_cxx)
    again = f"make capture-oracle SEEDS=1 FIRST={seed} FUNCTIONS={FUNCTIONS // 2} OPTIONS=1"
    assert board.wrong == [], again
    assert board.counts
