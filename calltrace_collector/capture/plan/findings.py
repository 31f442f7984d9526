"""What was found out about hooks, put together to a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calltrace_collector.model.capture import HookPlan, Item, Layout, Plan, Type

__all__ = ["Findings", "HookFinding", "plan_of"]


@dataclass(frozen=True, slots=True)
class HookFinding:
    """What is captured at a hook.

    Attributes:
        return_offset: see HookPlan.
        function_offset: see HookPlan; None for an inlined copy: it is that of the function that was copied.
        linkage_name: of the function.
        function: see HookPlan.
        layout: see HookPlan.
        program: see HookPlan.
    """

    return_offset: int
    function_offset: int | None
    linkage_name: str
    function: str
    layout: Layout
    program: bytes


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found out about some of a file's hooks.

    Attributes:
        hooks: where there is something to say.
        functions: first addresses of the functions that call hooks, by their linkage names; of several of one
            name, None.
        problems: what could not be read, a line each.
    """

    hooks: Sequence[HookFinding]
    functions: dict[str, int | None]
    problems: Sequence[str]


def plan_of(findings: Sequence[Findings]) -> Plan:
    """Puts the plan together; of inlined copies of functions that are nowhere else, nothing is said."""
    functions: dict[str, int | None] = {}
    for part in findings:
        for name, offset in part.functions.items():
            functions[name] = offset if functions.setdefault(name, offset) == offset else None
    layouts = _Layouts()
    hooks = [
        HookPlan(hook.return_offset, offset, hook.function, layouts.place(hook.layout), hook.program)
        for part in findings
        for hook in part.hooks
        if (offset := _offset(hook, functions)) is not None
    ]
    problems = dict.fromkeys(problem for part in findings for problem in part.problems)
    hooks.sort(key=lambda hook: hook.return_offset)
    return Plan(tuple(layouts.found), tuple(hooks), tuple(problems))


def _offset(hook: HookFinding, functions: dict[str, int | None]) -> int | None:
    return functions.get(hook.linkage_name) if hook.function_offset is None else hook.function_offset


class _Layouts:
    """The layouts so far; equal ones are one."""

    def __init__(self) -> None:
        self.found: list[Layout] = []
        self._places: dict[tuple[tuple[object, ...], ...], int] = {}
        self._types = _Types()

    def place(self, layout: Layout) -> int:
        """Returns the place of a layout, which is added if it is new."""
        key = tuple(self._key(item) for item in layout.items)
        place = self._places.setdefault(key, len(self.found))
        if place == len(self.found):
            self.found.append(layout)
        return place

    def _key(self, item: Item) -> tuple[object, ...]:
        kind = self._types.number(item.type)
        return item.name, kind, item.how, item.size, item.unavailable, item.constant


class _Types:
    """Numbers of types, equal for equal ones: comparing all of what types are made of would take long."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[object, ...], int] = {}
        # The types are kept, so that no other one gets the identity of one.
        self._known: dict[int, tuple[int, Type]] = {}

    def number(self, kind: Type) -> int:
        """Returns the type's number."""
        known = self._known.get(id(kind))
        if known is None:
            key = (
                *(kind.kind, kind.name, kind.size, kind.signed, kind.flags, kind.count, kind.enumerators),
                None if kind.target is None else self.number(kind.target),
                *(
                    (field.name, self.number(field.type), field.offset, field.bit_offset, field.bit_size)
                    for field in kind.fields
                ),
            )
            known = self._known[id(kind)] = self._numbers.setdefault(key, len(self._numbers)), kind
        return known[0]
