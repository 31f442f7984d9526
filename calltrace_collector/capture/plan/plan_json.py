"""Capture plans as JSON, as they are cached, and back."""

from __future__ import annotations

import json
from typing import Any

from calltrace_collector.capture.plan.program import PROGRAM_BYTES
from calltrace_collector.errors import ProtocolError
from calltrace_collector.model.capture import HookPlan, Plan
from calltrace_collector.model.json_checks import as_text, below
from calltrace_collector.model.layout_json import layouts_from_json, layouts_to_json

__all__ = ["plan_from_json", "plan_to_json"]

_MAX_ADDRESS = (1 << 64) - 1


def plan_to_json(plan: Plan) -> bytes:
    """Returns a plan as JSON: the hooks as columns, functions' names once."""
    names: dict[str, int] = {}
    functions = [names.setdefault(hook.function, len(names)) for hook in plan.hooks]
    return json.dumps(
        {
            "layouts": layouts_to_json(plan.layouts).decode(),
            "names": list(names),
            "functions": functions,
            "return_offsets": [hook.return_offset for hook in plan.hooks],
            "function_offsets": [hook.function_offset for hook in plan.hooks],
            "hook_layouts": [hook.layout for hook in plan.hooks],
            "programs": [hook.program.hex() for hook in plan.hooks],
            "problems": list(plan.problems),
        },
        separators=(",", ":"),
    ).encode()


def plan_from_json(text: bytes) -> Plan:
    """Reads what plan_to_json wrote; nothing of it is trusted.

    Raises:
        ProtocolError: it is something else.
    """
    try:
        found = json.loads(text)
        layouts = layouts_from_json(found["layouts"].encode())
        names = [as_text(name) for name in found["names"]]
        hooks = tuple(
            HookPlan(
                below(return_offset, _MAX_ADDRESS),
                below(function_offset, _MAX_ADDRESS),
                names[below(name, len(names))],
                below(layout, len(layouts)),
                _program(program),
            )
            for return_offset, function_offset, name, layout, program in zip(
                found["return_offsets"],
                found["function_offsets"],
                found["functions"],
                found["hook_layouts"],
                found["programs"],
                strict=True,
            )
        )
        return Plan(layouts, hooks, tuple(as_text(problem) for problem in found["problems"]))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"this is no capture plan: {error}") from error


def _program(value: Any) -> bytes:
    program = bytes.fromhex(value)
    if len(program) > PROGRAM_BYTES:
        raise ValueError(f"a program of {len(program)} bytes")
    return program
