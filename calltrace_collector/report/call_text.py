"""A call as text, with what was captured of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from calltrace_collector.capture.values.content import Missing
from calltrace_collector.query.captured import Value
from calltrace_collector.report.units import printable
from calltrace_collector.symbols.globs import name_forms

__all__ = ["call_text", "returned_text"]

_UNKNOWN = "?"
_VALUE_WIDTH = 100
"""Of a value's text, at most so many letters are shown,"""
_ARGUMENTS_WIDTH = 300
"""and so many of all arguments together."""
_NAMES_KEPT = 4096


def call_text(function: str, arguments: Sequence[Value], returned: Value | None) -> str:
    """Returns a call as its author would write it: ``parse(s="12,3", len=4)``.

    Long values are cut, and of those that are unavailable it is not said why; jsonl has all of that. Where
    nothing was captured, it is the function's name.

    Args:
        function: its demangled name, printable.
        arguments: in order; (): there are none, or nothing is known of them.
        returned: what it returned.
    """
    # The types of parameters say more than an empty pair of brackets would.
    is_bare = not arguments and (returned is None or "(" in function)
    return function if is_bare else f"{_bare_name(function)}({_listed(arguments)})"


def returned_text(returned: Value | None) -> str:
    """Returns what follows the text of a call that returned something: ``" = 2"``; or ""."""
    return "" if returned is None else f" = {_short(returned)}"


@lru_cache(_NAMES_KEPT)
def _bare_name(function: str) -> str:
    return name_forms(function)[-1]


def _listed(arguments: Sequence[Value]) -> str:
    texts: list[str] = []
    left = _ARGUMENTS_WIDTH
    for argument in arguments:
        text = f"{printable(argument.name)}={_short(argument)}" if argument.name else _short(argument)
        left -= len(text)
        if left < 0 and texts:
            return ", ".join([*texts, "…"])
        texts.append(text)
    return ", ".join(texts)


def _short(value: Value) -> str:
    if isinstance(value.content, Missing):
        return _UNKNOWN
    text = printable(value.text())
    return text if len(text) <= _VALUE_WIDTH else text[: _VALUE_WIDTH - 1] + "…"
