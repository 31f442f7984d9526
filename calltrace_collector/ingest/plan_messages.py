"""Plans as agents get them: CollectorMessages of a size that agents take."""

from __future__ import annotations

from collections.abc import Iterable

from calltrace_collector import wire
from calltrace_collector.model.capture import PROGRAM_BYTES, HookPlan

__all__ = ["plan_messages"]

MESSAGE_BYTES = 60 << 10
"""Of one message: agents take at most 64 KiB."""
HOOK_BYTES = 48
"""What a hook takes besides its program, at most: its numbers, and the lengths before it and in it."""
HEAD_BYTES = 32
"""The same of a message."""


def plan_messages(module: int, first_layout: int, hooks: Iterable[HookPlan]) -> list[bytes]:
    """Returns what tells an agent how the values of a module's calls are captured; at least one message.

    Args:
        module: its number within the process.
        first_layout: what the process calls the first layout of the module's plan.
        hooks: what is captured; a program that agents do not take is left out.
    """
    plans = [wire.CapturePlan(module=module)]
    room = MESSAGE_BYTES - HEAD_BYTES
    for hook in hooks:
        if len(hook.program) > PROGRAM_BYTES:
            continue
        size = HOOK_BYTES + len(hook.program)
        if size > room:
            plans.append(wire.CapturePlan(module=module))
            room = MESSAGE_BYTES - HEAD_BYTES
        room -= size
        plans[-1].hooks.add(
            return_offset=hook.return_offset,
            function_offset=hook.function_offset,
            layout=first_layout + hook.layout,
            program=hook.program,
        )
    plans[-1].complete = True
    return [wire.CollectorMessage(capture_plan=plan).SerializeToString() for plan in plans]
