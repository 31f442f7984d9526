"""What is to be known of another tracer to compare with it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.hook_cost import Runner


@dataclass
class Recording:
    """A recording by another tracer.

    Attributes:
        run: runs a program so that its calls are recorded.
        note: set when the recording has ended, if calls were lost.
    """

    run: Runner
    note: str = ""


class Peer(Protocol):
    """Another tracer of programs compiled with -finstrument-functions."""

    name: str

    def missing(self) -> str:
        """Says what of it isn't installed; nothing is missing where that is empty."""
        ...

    def recording(self, folder: Path) -> AbstractContextManager[Recording]:
        """Records into a new folder, while the context lasts."""
        ...
