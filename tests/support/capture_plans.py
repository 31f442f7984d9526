"""Capture plans, looked at: as text and as counts.

To see why something is not available: `python -m tests.support.capture_plans PROGRAM [FUNCTION]`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

from calltrace_collector.capture.plan.cache import plan_for
from calltrace_collector.model.capture import HookPlan, How, Item, Plan
from tests.support.capture_twin import disassembled

__all__ = ["show", "statistics"]


def show(plan: Plan, function: str = "") -> str:
    """Returns what is captured at each hook of the functions whose name contains `function`."""
    return "\n".join(line for hook in plan.hooks if function in hook.function for line in _lines(plan, hook))


def _lines(plan: Plan, hook: HookPlan) -> Iterator[str]:
    items = plan.layouts[hook.layout].items
    kind = "returns" if _is_exit(items) else "takes"
    yield f"{hook.return_offset:#x} {hook.function} ({hook.function_offset:#x}) {kind}"
    programs = iter(disassembled(hook.program))
    for item in items:
        what = f"unavailable: {item.unavailable}"
        if item.how is not How.NONE:
            what = f"{item.how.value}({item.size}) {next(programs)}"
        elif item.constant is not None:
            what = f"constant {item.constant.hex()}"
        yield f"    {item.name or '-'}: {item.type.name} = {what}"


def statistics(plan: Plan) -> Counter[tuple[str, str]]:
    """Returns how many items there are: of arguments and results, available or why not."""
    found: Counter[tuple[str, str]] = Counter()
    for hook in plan.hooks:
        items = plan.layouts[hook.layout].items
        for item in items:
            found["result" if _is_exit(items) else "argument", item.unavailable or "available"] += 1
    return found


def _is_exit(items: tuple[Item, ...]) -> bool:
    # The layout of a result is one item without a name; a lone parameter without one looks the same.
    return len(items) == 1 and not items[0].name


def _main(program: str, function: str = "") -> None:
    plan = plan_for(program)
    sys.stdout.write(show(plan, function) + "\n")
    for (what, why), count in sorted(statistics(plan).items()):
        sys.stdout.write(f"{count:7} {what}: {why}\n")
    for problem in plan.problems:
        sys.stdout.write(f"problem: {problem}\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
