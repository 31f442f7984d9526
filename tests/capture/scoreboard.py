"""Counts what is shown of a program's calls: right, unavailable and why, wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.capture.compare import is_right, missing_part
from tests.capture.functions import Function
from tests.capture.kinds import Kind
from tests.capture.truth import UNWOUND, Call

__all__ = ["ARGUMENT", "RESULT", "Scoreboard", "Shown"]

ARGUMENT, RESULT = "arguments", "returns"
RIGHT, UNAVAILABLE, WRONG = "right", "unavailable", "wrong"
MOST_LISTED = 40


@dataclass(frozen=True)
class Shown:
    """A call as the tracer shows it.

    Attributes:
        function: its name, without parameters.
        arguments: None where nothing is said of them.
        result: the same.
    """

    function: str
    arguments: Sequence[Mapping[str, Any]] | None
    result: Mapping[str, Any] | None


@dataclass
class Scoreboard:
    """The verdicts on all values that were compared.

    Attributes:
        counts: by what was compiled how, ARGUMENT or RESULT, the kind's label, and the verdict.
        reasons: of what is unavailable: by what was compiled how, ARGUMENT or RESULT, and the reason.
        examples: one value for each of these.
        wrong: each wrong value, as a line.
        types: spellings of types that differ from the source's: (source's, shown).
    """

    counts: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str, str], str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    types: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add_program(
        self,
        setting: str,
        functions: Mapping[str, Function],
        truth: Sequence[Call],
        shown: Sequence[Shown],
        objects: Mapping[str, int],
    ) -> None:
        """Judges all calls of a traced program.

        Args:
            setting: how it was compiled.
            functions: the program's, by path.
            truth: its calls, in the order of entries.
            shown: the same calls as they are shown, among others, in the same order.
            objects: addresses of the program's global objects and functions.
        """
        named = [(_path_of(call.function), call) for call in shown]
        named = [(path, call) for path, call in named if path in functions]
        order = [path for path, _ in named]
        if order != [call.function for call in truth]:
            self._wrong(setting, "the order of calls", "calls", [c.function for c in truth][:20], order[:20])
            return
        for call, (path, seen) in zip(truth, named, strict=True):
            self._add_call(setting, functions[path], call, seen, objects)

    def _add_call(
        self, setting: str, function: Function, call: Call, shown: Shown, objects: Mapping[str, int]
    ) -> None:
        kinds = {f"p{index}": kind for index, kind in enumerate(function.parameters)}
        rows = {str(row.get("name")): row for row in shown.arguments or ()}
        for name, truth in call.arguments.items():
            label = kinds[name].label if name in kinds else "this"
            kind = kinds.get(name, _THIS)
            self._judge(
                setting, ARGUMENT, (function.path, name, label), (kind, truth), rows.get(name), objects
            )
        for name in rows.keys() - call.arguments.keys():
            if "value" in rows[name]:
                self._wrong(setting, f"{function.path} has no parameter", name, None, rows[name])
        if function.returns is not None and call.result is not UNWOUND:
            what = (function.path, "the result", function.returns.label)
            self._judge(setting, RESULT, what, (function.returns, call.result), shown.result, objects)
        elif shown.result is not None and "value" in shown.result:
            self._wrong(setting, f"{function.path} returns nothing", "the result", None, shown.result)

    def _judge(
        self,
        setting: str,
        part: str,
        what: tuple[str, str, str],
        expected: tuple[Kind, Any],
        row: Mapping[str, Any] | None,
        objects: Mapping[str, int],
    ) -> None:
        path, name, label = what
        kind, truth = expected
        reason = "not mentioned" if row is None else row.get("unavailable") or missing_part(row.get("value"))
        if row is not None and label != "this":
            self._compare_types(kind, str(row.get("type")))
        if row is None or reason:
            verdict = UNAVAILABLE
            self.reasons[setting, part, str(reason)] += 1
            self.examples.setdefault((setting, part, str(reason)), f"{path}: {name} ({kind.spelling})")
        elif is_right(kind, truth, row, objects):
            verdict = RIGHT
        else:
            verdict = WRONG
            self._wrong(setting, path, f"{name} ({kind.spelling})", truth, row)
        self.counts[setting, part, label, verdict] += 1

    def _compare_types(self, kind: Kind, shown: str) -> None:
        if _spelling(kind.spelling) != _spelling(shown):
            self.types[kind.spelling, shown] += 1

    def _wrong(self, setting: str, path: str, name: str, truth: object, row: object) -> None:
        self.wrong.append(f"{setting}: {path}: {name}: expected {truth!r:.300}, got {row!r:.300}")

    # --- results ---

    def share(self, setting: str, part: str) -> float:
        """How much of what was compared is right, 0 to 1."""
        total = self._total(setting, part)
        return total[RIGHT] / max(1, sum(total.values()))

    def _total(self, setting: str, part: str) -> Counter[str]:
        total: Counter[str] = Counter()
        for (counted, counted_part, _, verdict), number in self.counts.items():
            if (counted, counted_part) == (setting, part):
                total[verdict] += number
        return total

    def lines(self, *, by_kind: bool = False) -> list[str]:
        """The whole board as text."""
        lines = []
        for setting in dict.fromkeys(key[0] for key in self.counts):
            for part in (ARGUMENT, RESULT):
                total = self._total(setting, part)
                numbers = "  ".join(
                    f"{total[verdict]:7,} {verdict}" for verdict in (RIGHT, UNAVAILABLE, WRONG)
                )
                lines.append(f"{setting:34} {part:9} {self.share(setting, part):7.2%}  {numbers}")
                lines += [
                    f"    {number:7,} {reason}, as in {self.examples[where, which, reason]}"
                    for (where, which, reason), number in self.reasons.most_common()
                    if (where, which) == (setting, part)
                ]
        if by_kind:
            lines += self._lines_of_kinds()
        lines += [f"type {true} is shown as {shown}: {n}" for (true, shown), n in self.types.most_common(30)]
        # Of each parameter only the first.
        first = {line.partition(": expected")[0]: line for line in reversed(self.wrong)}
        lines += [f"WRONG {line}" for line in list(reversed(first.values()))[:MOST_LISTED]]
        if self.wrong:
            lines.append(f"WRONG {len(self.wrong):,} values of {len(first):,} parameters and results")
        return lines

    def _lines_of_kinds(self) -> list[str]:
        kinds: dict[tuple[str, str], Counter[str]] = {}
        for (_, part, label, verdict), number in self.counts.items():
            kinds.setdefault((part, label), Counter())[verdict] += number
        return [
            f"{part:9} {label:24} " + "  ".join(f"{counts[v]:7,} {v}" for v in (RIGHT, UNAVAILABLE, WRONG))
            for (part, label), counts in sorted(kinds.items())
        ]


_THIS = Kind("this", "this", "pointer", "", ())


def _path_of(function: str) -> str:
    """The name without parameters and what a clone adds: "ns::fn3"; "" for a lambda in a function."""
    return "" if ")::" in function else re.sub(r"[\[(<. ].*", "", function)


def _spelling(spelling: str) -> str:
    words = re.sub(r"\b(struct|enum|union|std::__cxx11::)\b", "", spelling)
    words = re.sub(r"\bunsigned\b(?! (char|short|int|long|__))", "unsigned int", words)
    return re.sub(r"\s+", "", words)
