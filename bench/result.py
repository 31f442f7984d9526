"""What a measurement came to, and whether that is what it should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Target:
    """A bound that a value should keep; it is met by the bound itself."""

    bound: float
    side: Literal["at most", "at least"]

    def is_met(self, value: float) -> bool:
        return value <= self.bound if self.side == "at most" else value >= self.bound


def at_most(bound: float) -> Target:
    return Target(bound, "at most")


def at_least(bound: float) -> Target:
    return Target(bound, "at least")


@dataclass(frozen=True, slots=True)
class Result:
    """A line of the table.

    Attributes:
        what: the quantity.
        subject: of what, under which circumstances.
        value: None: not measured, and the note says why.
        unit: of value and target.
        target: None: there is none; the value is there to compare with.
        note: what else is to be said.
        failed: the measurement went wrong, which is worse than a target not met.
    """

    what: str
    subject: str
    value: float | None
    unit: str
    target: Target | None = None
    note: str = ""
    failed: bool = False

    @property
    def is_met(self) -> bool | None:
        """None where there is no target, or no value."""
        if self.target is None or self.value is None:
            return None
        return self.target.is_met(self.value)
