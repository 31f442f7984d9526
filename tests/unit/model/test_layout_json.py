"""Layouts of captured values come back from JSON as they were."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltrace_collector.errors import ProtocolError
from calltrace_collector.model.capture import Enumerator, Field, How, Item, Layout, Type, TypeKind
from calltrace_collector.model.layout_json import DEPTH_LIMIT, layouts_from_json, layouts_to_json

names = st.text(max_size=8)
sizes = st.integers(0, 2**40)


def composed(parts: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    fields = st.builds(Field, names, parts, sizes, st.integers(0, 63), st.integers(0, 64))
    return st.builds(
        Type,
        st.sampled_from(TypeKind),
        names,
        size=sizes,
        target=st.none() | parts,
        count=sizes,
        fields=st.lists(fields, max_size=3).map(tuple),
    )


simple_types = st.builds(
    Type,
    st.sampled_from(TypeKind),
    names,
    size=sizes,
    signed=st.booleans(),
    flags=st.booleans(),
    enumerators=st.lists(st.builds(Enumerator, names, st.integers(-(2**63), 2**64)), max_size=3).map(tuple),
)
types = st.recursive(simple_types, composed, max_leaves=6)
items = st.builds(
    Item,
    names,
    types,
    st.sampled_from(How),
    size=sizes,
    unavailable=st.none() | names,
    constant=st.none() | st.binary(max_size=9),
)
layouts = st.lists(st.builds(Layout, st.lists(items, max_size=4).map(tuple)), max_size=4)


@given(layouts)
def test_layouts_come_back(layouts: list[Layout]) -> None:
    text = layouts_to_json(layouts)
    assert layouts_from_json(text) == tuple(layouts)
    assert layouts_to_json(layouts_from_json(text)) == text


def test_a_type_is_written_once() -> None:
    def struct() -> Type:
        return Type(
            TypeKind.STRUCT,
            "point",
            8,
            fields=(Field("x", Type(TypeKind.INTEGER, "int", 4, signed=True), 0),),
        )

    layout = Layout((Item("a", struct(), How.VALUE, 8), Item("b", struct(), How.VALUE, 8)))
    assert len(json.loads(layouts_to_json([layout, layout]))["types"]) == 2


VOID: list[Any] = ["void", "void", 0, False, False, None, 0, [], []]
ITEM: list[Any] = ["x", 0, "value", 4, None, None]


def changed(row: list[Any], at: int, value: Any) -> list[Any]:
    return [*row[:at], value, *row[at + 1 :]]


@pytest.mark.parametrize(
    "found",
    [
        None,
        [],
        {},
        {"types": [VOID]},
        {"types": 5, "layouts": []},
        {"types": [VOID[:-1]], "layouts": []},
        {"types": [changed(VOID, 0, "verse")], "layouts": []},
        {"types": [changed(VOID, 1, 7)], "layouts": []},
        {"types": [changed(VOID, 2, -1)], "layouts": []},
        {"types": [changed(VOID, 2, 1.5)], "layouts": []},
        {"types": [changed(VOID, 2, True)], "layouts": []},
        {"types": [changed(VOID, 5, 0)], "layouts": []},
        {"types": [VOID, changed(VOID, 5, -1)], "layouts": []},
        {"types": [changed(VOID, 7, [["red"]])], "layouts": []},
        {"types": [VOID, changed(VOID, 8, [["x", 1, 0, 0, 0]])], "layouts": []},
        {"types": [VOID], "layouts": [[changed(ITEM, 1, 1)]]},
        {"types": [VOID], "layouts": [[changed(ITEM, 1, -1)]]},
        {"types": [VOID], "layouts": [[changed(ITEM, 2, "")]]},
        {"types": [VOID], "layouts": [[changed(ITEM, 3, None)]]},
        {"types": [VOID], "layouts": [[changed(ITEM, 4, 4)]]},
        {"types": [VOID], "layouts": [[changed(ITEM, 5, "xy")]]},
        {"types": [VOID], "layouts": [7]},
        {"types": [VOID, *(changed(VOID, 5, at) for at in range(DEPTH_LIMIT))], "layouts": []},
    ],
)
def test_what_is_no_layout_is_refused(found: Any) -> None:
    with pytest.raises(ProtocolError, match="no layouts of captured values"):
        layouts_from_json(json.dumps(found).encode())


def test_what_is_no_json_is_refused() -> None:
    for text in (b"", b"{", b"\xff", b"[" * 100_000):
        with pytest.raises(ProtocolError, match="no layouts of captured values"):
            layouts_from_json(text)


def test_the_smallest_layout_is_read() -> None:
    """What the refusals above are changed from."""
    (layout,) = layouts_from_json(json.dumps({"types": [VOID], "layouts": [[ITEM]]}).encode())
    assert layout.items == (Item("x", Type(TypeKind.VOID, "void"), How.VALUE, 4),)
