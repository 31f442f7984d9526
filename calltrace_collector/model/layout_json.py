"""Layouts of captured values as JSON, as they are stored, and back.

The text is ``{"types": [...], "layouts": [...]}``. Each type stands once, behind the types that it is made
of, and is referred to by its place; a layout is a list of items. Types, fields, enumerators and items are
lists of the values of the records' attributes, in their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from calltrace_collector.errors import ProtocolError
from calltrace_collector.model.capture import Enumerator, Field, How, Item, Layout, Type, TypeKind
from calltrace_collector.model.json_checks import as_count, as_number, as_text, below

__all__ = ["layouts_from_json", "layouts_to_json"]

DEPTH_LIMIT = 64
"""How deep types may be nested: what shows them calls itself for each level."""


def layouts_to_json(layouts: Sequence[Layout]) -> bytes:
    """Returns layouts as JSON, the same bytes for equal ones."""
    types = _TypeWriter()
    written = [[_item_row(item, types) for item in layout.items] for layout in layouts]
    return json.dumps({"types": types.rows, "layouts": written}, separators=(",", ":")).encode()


def _item_row(item: Item, types: _TypeWriter) -> list[Any]:
    constant = None if item.constant is None else item.constant.hex()
    return [item.name, types.place(item.type), item.how.value, item.size, item.unavailable, constant]


class _TypeWriter:
    """The types written so far, as rows; equal rows are one."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []
        self._by_identity: dict[int, tuple[int, Type]] = {}
        self._by_content: dict[str, int] = {}

    def place(self, kind: Type) -> int:
        """The place of a type, which is written if it is new."""
        known = self._by_identity.get(id(kind))
        if known is not None:
            return known[0]
        row = self._row(kind)
        place = self._by_content.setdefault(json.dumps(row), len(self.rows))
        if place == len(self.rows):
            self.rows.append(row)
        # The type is kept, so that no other one gets its identity.
        self._by_identity[id(kind)] = place, kind
        return place

    def _row(self, kind: Type) -> list[Any]:
        return [
            kind.kind.value,
            kind.name,
            kind.size,
            kind.signed,
            kind.flags,
            None if kind.target is None else self.place(kind.target),
            kind.count,
            [[each.name, each.value] for each in kind.enumerators],
            [
                [each.name, self.place(each.type), each.offset, each.bit_offset, each.bit_size]
                for each in kind.fields
            ],
        ]


def layouts_from_json(text: bytes) -> tuple[Layout, ...]:
    """Reads what layouts_to_json wrote; nothing of it is trusted.

    Raises:
        ProtocolError: it is something else.
    """
    try:
        found = json.loads(text)
        types = _types(found["types"])
        return tuple(Layout(tuple(_item(row, types) for row in items)) for items in found["layouts"])
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise ProtocolError(f"these are no layouts of captured values: {error}") from error


def _types(rows: Iterable[Any]) -> list[Type]:
    types: list[Type] = []
    depths: list[int] = []
    for kind, name, size, signed, flags, target, count, enumerators, fields in rows:
        parts = [
            below(each, len(types)) for each in [target, *(row[1] for row in fields)] if each is not None
        ]
        depth = 1 + max((depths[part] for part in parts), default=0)
        if depth > DEPTH_LIMIT:
            raise ValueError(f"types are nested deeper than {DEPTH_LIMIT} levels")
        depths.append(depth)
        types.append(
            Type(
                kind=TypeKind(kind),
                name=as_text(name),
                size=as_count(size),
                signed=bool(signed),
                flags=bool(flags),
                target=None if target is None else types[target],
                count=as_count(count),
                enumerators=tuple(Enumerator(as_text(each), as_number(value)) for each, value in enumerators),
                fields=tuple(_field(row, types) for row in fields),
            )
        )
    return types


def _field(row: Sequence[Any], types: Sequence[Type]) -> Field:
    name, place, offset, bit_offset, bit_size = row
    return Field(as_text(name), types[place], as_count(offset), as_count(bit_offset), as_count(bit_size))


def _item(row: Sequence[Any], types: Sequence[Type]) -> Item:
    name, place, how, size, unavailable, constant = row
    return Item(
        name=as_text(name),
        type=types[below(place, len(types))],
        how=How(how),
        size=as_count(size),
        unavailable=None if unavailable is None else as_text(unavailable),
        constant=None if constant is None else bytes.fromhex(constant),
    )
