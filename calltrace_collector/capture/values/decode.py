"""The values of a call: what an agent's bytes mean by their layout, for JSON and for one line of text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from calltrace_collector.capture.values import json as values_json
from calltrace_collector.capture.values import text as values_text
from calltrace_collector.capture.values.bytes import decode_bytes
from calltrace_collector.capture.values.content import Address, Characters, Content, Missing
from calltrace_collector.model.capture import How, Item, Layout, TypeKind

__all__ = ["Value", "decode"]

Symbols = Callable[[int], str | None]
"""Gives the name of the function that starts at an address of the process; None if there is none."""

_DAMAGED = "the recorded bytes are damaged"
_OK, _CUT, _NULL, _UNREADABLE, _NO_ROOM = range(5)  # enum capture_status
_REASONS = {
    _NULL: "it is at address 0",
    _UNREADABLE: "its memory could not be read",
    _NO_ROOM: "the values of the call take too much room",
}


@dataclass(frozen=True, slots=True)
class Value:
    """An argument or a return value.

    Attributes:
        name: the parameter's; "" for a return value.
        type_name: its type as the source spells it.
        content: what it is; Missing, with the reason, where it is not known.
    """

    name: str
    type_name: str
    content: Content

    def json(self) -> dict[str, Any]:
        """Returns {"name", "type", "value"} or {"name", "type", "unavailable"}, for json.dumps.

        A return value has no "name"; text that is cut has "cut": true.
        """
        row: dict[str, Any] = {"name": self.name} if self.name else {}
        row["type"] = self.type_name
        if isinstance(self.content, Missing):
            return row | {"unavailable": self.content.reason}
        row["value"] = values_json.plain(self.content)
        if isinstance(self.content, Characters) and self.content.is_cut:
            row["cut"] = True
        return row

    def text(self) -> str:
        """Returns the value as a debugger would write it, in one line."""
        return values_text.short(self.content)


def decode(layout: Layout, values: bytes, symbol_of: Symbols) -> tuple[Value, ...]:
    """Decodes the values of one event.

    Args:
        layout: what they are.
        values: what the agent left, behind the layout's number. Not trusted: what does not fit the layout
            is unavailable, and all that follows it.
        symbol_of: names function pointers.

    Returns:
        One for each item of the layout. Never raises.
    """
    return tuple(
        Value(item.name, item.type.name, content)
        for item, content in zip(layout.items, _contents(layout, values, symbol_of), strict=True)
    )


def _contents(layout: Layout, values: bytes, symbol_of: Symbols) -> Iterator[Content]:
    position: int | None = 0
    for item in layout.items:
        if item.constant is not None:
            yield decode_bytes(item.type, item.constant, symbol_of)
        elif item.how is How.NONE:
            yield Missing(item.unavailable or "not captured")
        elif position is None or position >= len(values):
            position = None
            yield Missing(_DAMAGED)
        else:
            content, position = _next(item, values, position, symbol_of)
            yield content


def _next(item: Item, values: bytes, position: int, symbol_of: Symbols) -> tuple[Content, int | None]:
    """Decodes the item at `position`; returns it and the position behind it, None if that is not known."""
    status, position = values[position], position + 1
    if status == _NULL and item.how is How.TEXT and item.type.kind is TypeKind.POINTER:
        return Address(0), position
    if status in _REASONS:
        return Missing(_REASONS[status]), position
    if item.how is How.TEXT and status in (_OK, _CUT) and position + 2 <= len(values):
        start = position + 2
        end = start + int.from_bytes(values[position:start], "little")
        if end <= len(values):
            return Characters(values[start:end], status == _CUT), end
    elif item.how is How.VALUE and status == _OK and position + item.size <= len(values):
        end = position + item.size
        shown = item.type
        if shown.kind is TypeKind.REFERENCE and shown.target is not None:
            shown = shown.target
        return decode_bytes(shown, values[position:end], symbol_of), end
    return Missing(_DAMAGED), None
