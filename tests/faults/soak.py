"""Repeats the fault tests with other seeds for as long as asked: `make soak`.

Stops at the first failure, and says how to see it again. `--long` runs each scenario once in its long form:
1,000 kills of programs, 100 of collectors, 30 seconds of standing still.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]


@dataclass
class Sums:
    """What all rounds together have done: numbers are added, tables too."""

    numbers: Counter[tuple[str, str]] = field(default_factory=Counter)
    tables: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)

    def add(self, notes: Path) -> None:
        """Adds what the scenarios of a round have noted."""
        for line in notes.read_text().splitlines():
            noted = json.loads(line)
            what, figure = (noted["test"], noted["what"]), noted["figure"]
            if isinstance(figure, dict):
                self.tables.setdefault(what, Counter()).update(figure)
            else:
                self.numbers[what] += figure

    def lines(self) -> list[str]:
        """All of it, a line each."""
        lines = [f"{test}: {what}: {number:,}" for (test, what), number in self.numbers.items()]
        return lines + [f"{test}: {what}: {dict(table)}" for (test, what), table in self.tables.items()]


def run_round(seed: int, tests: list[str], notes: Path, *, is_long: bool) -> bool:
    """Runs the scenarios once. Returns whether all went as they must."""
    environment = {
        **os.environ,
        "CALLTRACE_SOAK_SEED": str(seed),
        "CALLTRACE_SOAK_NOTES": str(notes),
        "CALLTRACE_SOAK_LONG": "1" if is_long else "",
    }
    arguments = ["-q", "-x", "--no-header", "-p", "no:cacheprovider", *(tests or [str(FOLDER)])]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], cwd=ROOT, env=environment, check=False
    )
    return done.returncode == 0


def say(line: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description="Repeats the fault tests.")
    parser.add_argument("--seconds", type=float, default=None, help="begin no round after so long")
    parser.add_argument("--rounds", type=int, default=None, help="run so many rounds; default 1")
    parser.add_argument("--seed", type=int, default=None, help="of the first round; default: by chance")
    parser.add_argument("--long", action="store_true", help="each scenario in its long form")
    parser.add_argument("tests", nargs="*", help="only these, as pytest names them")
    options = parser.parse_args()
    rounds = options.rounds if options.rounds or options.seconds else 1
    seed = random.randrange(1 << 31) if options.seed is None else options.seed
    began, done, passed, sums = time.monotonic(), 0, True, Sums()

    def is_over() -> bool:
        late = options.seconds is not None and time.monotonic() >= began + options.seconds
        return late or done == rounds

    while passed and not is_over():
        say(f"--- round {done + 1}, seed {seed + done}")
        with tempfile.NamedTemporaryFile() as notes:
            passed = run_round(seed + done, options.tests, Path(notes.name), is_long=options.long)
            sums.add(Path(notes.name))
        done += 1
    say(f"--- {done} rounds in {time.monotonic() - began:.0f} s, seeds {seed} to {seed + done - 1}")
    for line in sums.lines():
        say(line)
    if not passed:
        again = " LONG=1" if options.long else ""
        say(f"FAILED; to see it again: make soak ROUNDS=1 SEED={seed + done - 1}{again}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
