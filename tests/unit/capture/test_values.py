"""What is made of the bytes that the agent leaves."""

from __future__ import annotations

import ctypes
import json
import struct
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calltrace_collector.capture.values.decode import Value, decode
from calltrace_collector.model.capture import Enumerator, Field, How, Item, Layout, Type, TypeKind

INT = Type(TypeKind.INTEGER, "int", 4, signed=True)
CHAR = Type(TypeKind.CHARACTER, "char", 1, signed=True)
TEXT = Type(TypeKind.POINTER, "const char *", 8, target=CHAR)
FLAGS = Type(
    TypeKind.ENUM, "mode", 4, flags=True, enumerators=(Enumerator("READ", 1), Enumerator("WRITE", 2))
)
COLOR = Type(
    TypeKind.ENUM, "color", 4, signed=True, enumerators=(Enumerator("RED", -1), Enumerator("BLUE", 5))
)
CALLBACK = Type(TypeKind.POINTER, "void (*)(int)", 8, target=Type(TypeKind.FUNCTION, "void (int)"))


def integer(size: int, *, signed: bool) -> Type:
    return Type(TypeKind.INTEGER, "integer", size, signed)


def floating(size: int) -> Type:
    return Type(TypeKind.FLOAT, "floating", size)


def array(element: Type, count: int) -> Type:
    return Type(TypeKind.ARRAY, "array", element.size * count, target=element, count=count)


def record(*fields: Field, size: int = 16) -> Type:
    return Type(TypeKind.STRUCT, "S", size, fields=fields)


def names(address: int) -> str | None:
    return "handler" if address == 0x1234 else None


def shown(kind: Type, content: bytes) -> tuple[str, object]:
    """A value's text, and what JSON makes of it."""
    layout = Layout((Item("x", kind, How.VALUE, len(content)),))
    (value,) = decode(layout, b"\0" + content, names)
    row = json.loads(json.dumps(value.json()))
    assert row["type"] == kind.name
    return value.text(), row.get("value", row.get("unavailable"))


@pytest.mark.parametrize(
    ("kind", "content", "text", "plain"),
    [
        (INT, struct.pack("<i", -5), "-5", -5),
        (integer(8, signed=False), b"\xff" * 8, str(2**64 - 1), 2**64 - 1),
        (integer(16, signed=True), b"\xff" * 16, "-1", -1),
        (Type(TypeKind.BOOLEAN, "bool", 1), b"\1", "true", True),
        (Type(TypeKind.BOOLEAN, "bool", 1), b"\7", "7", 7),
        (CHAR, b"a", "'a'", "a"),
        (CHAR, b"'", r"'\''", "'"),
        (CHAR, b"\n", r"'\n'", "\n"),
        (CHAR, b"\xe9", r"'\xe9'", "\\xe9"),
        (Type(TypeKind.CHARACTER, "char32_t", 4), struct.pack("<I", 0x20AC), "'€'", "€"),
        (Type(TypeKind.CHARACTER, "char16_t", 2), struct.pack("<H", 0xD800), r"'\xd800'", "\\xd800"),
        (floating(8), struct.pack("<d", 0.1), "0.1", 0.1),
        (floating(8), struct.pack("<d", float("nan")), "nan", "nan"),
        (floating(8), struct.pack("<d", float("-inf")), "-inf", "-inf"),
        (floating(4), struct.pack("<f", 1.1), "1.1", 1.1),
        (floating(4), struct.pack("<f", 16777216.0), "16777216.0", 16777216.0),
        (COLOR, struct.pack("<i", -1), "RED", "RED"),
        (COLOR, struct.pack("<i", 3), "3", 3),
        (FLAGS, struct.pack("<i", 3), "READ|WRITE", "READ|WRITE"),
        (FLAGS, struct.pack("<i", 6), "WRITE|0x4", "WRITE|0x4"),
        (FLAGS, struct.pack("<i", 8), "8", 8),
        (Type(TypeKind.POINTER, "void *", 8), struct.pack("<Q", 0x7F00), "0x7f00", "0x7f00"),
        (Type(TypeKind.POINTER, "void *", 8), bytes(8), "NULL", None),
        (CALLBACK, struct.pack("<Q", 0x1234), "handler", "handler"),
        (CALLBACK, struct.pack("<Q", 0x1235), "0x1235", "0x1235"),
        (array(INT, 2), struct.pack("<ii", 1, 2), "{1, 2}", [1, 2]),
        (array(CHAR, 6), b"ab\0\0\0\0", '"ab"', "ab"),
        (array(CHAR, 4), b"a\0b\0", r'"a\0b\0"', "a\0b\0"),
        (record(Field("a", INT, 0), Field("b", TEXT, 8)), struct.pack("<iiQ", 1, 9, 0x40), "{a=1, b=0x40}",
         {"a": 1, "b": "0x40"}),
        (record(Field("a", INT, 0, 3, 5), size=4), struct.pack("<I", 0x1F << 3), "{a=-1}", {"a": -1}),
        (record(Field("a", integer(4, signed=False), 1, 7, 10), size=4), b"\0\x80\xff\x01", "{a=1023}",
         {"a": 1023}),
        (record(Field("", record(Field("x", INT, 0), size=4), 0), Field("x", INT, 4)),
         struct.pack("<ii", 1, 2), "{x=1, x#2=2}", {"x": 1, "x#2": 2}),
        (record(), bytes(16), "{}", {}),
    ],
)  # fmt: skip
def test_values_are_shown_by_their_types(kind: Type, content: bytes, text: str, plain: object) -> None:
    assert shown(kind, content) == (text, plain)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_is_the_shortest_number_that_gives_it_again(number: float) -> None:
    text, plain = shown(floating(4), struct.pack("<f", number))
    assert struct.pack("<f", float(text)) == struct.pack("<f", number)
    assert plain == float(text)


@given(st.binary(min_size=10, max_size=10))
def test_a_long_double_is_what_the_processor_takes_it_for(content: bytes) -> None:
    exponent, significand = int.from_bytes(content[8:], "little") & 0x7FFF, content[:8]
    if exponent and not significand[7] & 0x80:
        return  # what the processor refuses, it may show as it likes
    text, _ = shown(floating(16), content + bytes(6))
    number = ctypes.c_longdouble.from_buffer_copy(content + bytes(6))
    buffer = ctypes.create_string_buffer(64)
    libc = ctypes.CDLL(None)
    libc.snprintf(buffer, ctypes.c_size_t(64), b"%.21Lg", number)
    expected = buffer.value.decode()
    if expected.lstrip("-") in ("nan", "inf"):
        assert text.lstrip("-") == expected.lstrip("-")
    else:
        # A double's text has the fewest digits that give it again.
        difference = abs(Decimal(text) - Decimal(expected))
        assert difference <= abs(Decimal(expected)) * Decimal("1e-15")
        assert float(text) == float(expected)


def test_a_long_double_keeps_its_digits() -> None:
    content = (0x8CCCCCCCCCCCCCCD).to_bytes(8, "little") + (0x3FFF).to_bytes(2, "little") + bytes(6)
    assert shown(floating(16), content) == ("1.10000000000000000002", "1.10000000000000000002")


def text_item(content: bytes, status: int = 0) -> tuple[str, dict[str, object]]:
    layout = Layout((Item("s", TEXT, How.TEXT),))
    values = bytes([status]) + struct.pack("<H", len(content)) + content if status < 2 else bytes([status])
    (value,) = decode(layout, values, names)
    return value.text(), value.json()


def test_text_is_escaped_and_cut() -> None:
    assert text_item(b'12,"3"\t')[0] == r'"12,\"3\"\t"'
    assert text_item("é€".encode())[1]["value"] == "é€"
    assert text_item(b"a\xff")[0] == r'"a\xff"'
    assert text_item(b"a\xff")[1]["value"] == r"a\xff"
    cut, row = text_item("ab€".encode()[:-1], status=1)
    assert cut == '"ab"...'
    assert (row["value"], row["cut"]) == ("ab", True)


def test_what_could_not_be_read_says_why() -> None:
    assert text_item(b"", status=2)[0] == "NULL"
    assert text_item(b"", status=2)[1]["value"] is None
    assert "could not be read" in str(text_item(b"", status=3)[1]["unavailable"])
    assert "room" in str(text_item(b"", status=4)[1]["unavailable"])
    assert "damaged" in str(text_item(b"", status=5)[1]["unavailable"])


def test_a_reference_shows_what_it_refers_to() -> None:
    kind = Type(TypeKind.REFERENCE, "const int &", 8, target=INT)
    assert shown(kind, struct.pack("<i", 7)) == ("7", 7)
    inside = record(Field("r", kind, 0), size=8)
    assert shown(inside, struct.pack("<Q", 0x10)) == ("{r=0x10}", {"r": "0x10"})


def named(values: tuple[Value, ...]) -> list[str]:
    return [f"{value.name}={value.text()}" for value in values]


def test_arguments_stand_with_their_names() -> None:
    layout = Layout(
        (
            Item("s", TEXT, How.TEXT),
            Item("", INT, How.VALUE, 4),
            Item("z", INT, How.NONE, unavailable="optimized out"),
            Item("c", INT, How.NONE, constant=struct.pack("<i", 3)),
        )
    )
    values = b"\0\2\0hi" + b"\0" + struct.pack("<i", 4)
    found = decode(layout, values, names)
    assert named(found) == ['s="hi"', "=4", "z=<unavailable: optimized out>", "c=3"]
    assert "name" not in found[1].json()
    assert found[2].json() == {"name": "z", "type": "int", "unavailable": "optimized out"}


def test_what_lies_behind_the_captured_part_is_missing() -> None:
    kind = record(Field("a", INT, 0), Field("b", array(INT, 1000), 4), size=4004)
    text, plain = shown(kind, struct.pack("<iii", 1, 2, 3))
    assert text.startswith("{a=1, b={2, 3, <unavailable: ")
    assert isinstance(plain, dict)
    assert plain["b"][:2] == [2, 3]


KINDS = st.sampled_from(list(TypeKind))
SIZES = st.integers(-5, 40) | st.just(1 << 60)


def types(children: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    fields = st.builds(Field, st.sampled_from(["", "a"]), children, SIZES, SIZES, SIZES)
    return st.builds(
        Type,
        KINDS,
        st.just("T"),
        SIZES,
        st.booleans(),
        st.booleans(),
        st.none() | children,
        SIZES,
        st.lists(st.builds(Enumerator, st.just("E"), st.integers(-9, 9)), max_size=3).map(tuple),
        st.lists(fields, max_size=3).map(tuple),
    )


TYPES = st.recursive(st.builds(Type, KINDS, st.just("T"), SIZES), types, max_leaves=12)
NOTES = st.none() | st.text(max_size=3)
CONSTANTS = st.none() | st.binary(max_size=8)
ITEMS = st.builds(
    Item, st.text(max_size=2), TYPES, st.sampled_from(How), st.integers(0, 60), NOTES, CONSTANTS
)


@settings(max_examples=300)
@given(st.lists(ITEMS, max_size=4).map(tuple), st.binary(max_size=120))
def test_hostile_layouts_and_bytes_are_shown_somehow(items: tuple[Item, ...], values: bytes) -> None:
    found = decode(Layout(items), values, names)
    assert len(found) == len(items)
    assert len(named(found)) == len(items)
    json.dumps([value.json() for value in found])


def test_types_that_share_parts_end() -> None:
    kind = record(Field("a", INT, 0))
    for _ in range(60):
        kind = record(Field("a", kind, 0), Field("b", kind, 0))
    text, _ = shown(kind, bytes(16))
    assert "too many parts" in text
    _, plain = shown(array(INT, 1 << 40), bytes(64))
    assert isinstance(plain, list)
    assert plain[:16] == [0] * 16
    assert len(plain) == 17
