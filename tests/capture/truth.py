"""The calls of a generated program, as it logged them itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["UNWOUND", "Call", "read_truth"]

UNWOUND = object()
"""The result of a call that an exception ended."""


@dataclass
class Call:
    """A call, in the order of entries.

    Attributes:
        function: its path.
        arguments: values by name, as truth.h writes them.
        result: the same of the return value; None for void, UNWOUND where there is none.
    """

    function: str
    arguments: dict[str, Any]
    result: Any = field(default=None)


def read_truth(log: Path) -> list[Call]:
    """Reads a reference build's log."""
    calls: list[Call] = []
    stack: list[Call] = []
    for line in log.read_text().splitlines():
        event = json.loads(line)
        if "enter" in event:
            calls.append(Call(event["enter"], event["values"]))
            stack.append(calls[-1])
            continue
        call = stack.pop()
        assert call.function == event.get("leave", event.get("unwound")), (call, event)
        call.result = UNWOUND if "unwound" in event else event["values"].get("return")
    assert not stack, stack
    return calls
