"""What all measurements have in common: where they build, how thorough they are, whom they keep informed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.result import Result
from bench.workshop import Workshop


class BenchError(Exception):
    """A measurement went wrong; the message says how."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a measurement is given.

    Attributes:
        workshop: compiles programs and hooks.
        quick: small sizes and few rounds, to see that everything works.
        step: to be called before each step, with what it is.
    """

    workshop: Workshop
    quick: bool
    step: Callable[[str], None]

    def choose(self, thorough: int, quick: int) -> int:
        """Returns a size or a number of rounds."""
        return quick if self.quick else thorough


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measurement: its name for --only, its number of steps, and how to do it."""

    name: str
    steps: Callable[[Bench], int]
    measure: Callable[[Bench], list[Result]]


def spread(values: Sequence[float], digits: int) -> str:
    """Says between which values a median lies."""
    if len(values) < 2:
        return ""
    return f"{min(values):,.{digits}f} to {max(values):,.{digits}f} in {len(values)} rounds"
