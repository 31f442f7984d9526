"""Checks captured values against random programs for as long as asked: `make capture-oracle`.

Prints how much is right, unavailable and wrong; fails if anything is wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from random import Random

from tests.capture.builds import Build
from tests.capture.runs import COMPILERS, LEVELS, Oracle, by_collector, with_options
from tests.capture.scoreboard import Scoreboard
from tests.support.collector import Collector


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many programs of each language")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--functions", type=int, default=60, help="in each program")
    parser.add_argument("--language", choices=["c", "cxx"], action="append", help="default: both")
    parser.add_argument("--compiler", choices=COMPILERS, action="append", help="default: both")
    parser.add_argument("--level", choices=LEVELS, action="append", help="default: all, as --level=-O2")
    parser.add_argument("--options", action="store_true", help="with other compiler options for each seed")
    parser.add_argument("--plain", action="store_true", help="no functions that are static or call others")
    parser.add_argument("--keep", type=Path, help="the folder for the programs, to look at them")
    return parser.parse_args()


def main() -> int:
    """Returns the exit status."""
    arguments = parse()
    board = Scoreboard()
    settings = [(c, level) for c in arguments.compiler or COMPILERS for level in arguments.level or LEVELS]
    with Collector() as collector:
        oracle = Oracle(by_collector(collector), board)
        for seed in range(arguments.first, arguments.first + arguments.seeds):
            for language in arguments.language or ("c", "cxx"):
                random = Random(seed)
                builds = [with_options(random, *s) if arguments.options else Build(*s) for s in settings]
                keep = arguments.keep and arguments.keep / f"{language}_{seed}"
                if keep:
                    keep.mkdir(parents=True, exist_ok=True)
                before = len(board.wrong)
                oracle.check(
                    seed,
                    arguments.functions,
                    builds,
                    cxx=language == "cxx",
                    is_plain=arguments.plain,
                    keep=keep,
                )
                state = f"{len(board.wrong) - before} wrong" if len(board.wrong) > before else "nothing wrong"
                sys.stderr.write(f"seed {seed}, {language}: {state}\n")
    sys.stdout.write("\n".join(board.lines(by_kind=True)) + "\n")
    return 1 if board.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
