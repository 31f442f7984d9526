"""Calls with their values in one line."""

import pytest

from calltrace_collector.capture.values.content import Address, Characters, Members, Missing
from calltrace_collector.query.captured import Value
from calltrace_collector.report.call_text import call_text, returned_text

TEXT = Value("s", "const char *", Characters(b"12,3"))
LENGTH = Value("len", "size_t", 4)
NAMELESS = Value("", "int", 2)
GONE = Value("gone", "int", Missing("it is overwritten before the hook is called"))
PARTLY = Value("p", "struct pair", Members((("x", 1), ("y", Missing("cut")))))


@pytest.mark.parametrize(
    ("function", "arguments", "returned", "text"),
    [
        ("parse", (TEXT, LENGTH), NAMELESS, 'parse(s="12,3", len=4) = 2'),
        ("parse", (TEXT,), None, 'parse(s="12,3")'),
        ("parse", (NAMELESS, LENGTH), None, "parse(2, len=4)"),
        ("parse", (), None, "parse"),
        ("parse", (TEXT, GONE), GONE, 'parse(s="12,3", gone=?) = ?'),
        ("parse", (PARTLY,), None, "parse(p={x=1, y=<unavailable: cut>})"),
        ("parse", (), NAMELESS, "parse() = 2"),
        ("ns::parse(char const*, int)", (TEXT, LENGTH), None, 'ns::parse(s="12,3", len=4)'),
        ("ns::parse(char const*, int)", (), None, "ns::parse(char const*, int)"),
        ("ns::parse(char const*, int)", (), NAMELESS, "ns::parse(char const*, int) = 2"),
        ("int most<int>(int, int) [clone .isra.0]", (LENGTH,), NAMELESS, "most<int>(len=4) = 2"),
        ("A::f(int) const", (LENGTH,), None, "A::f(len=4)"),
        ("A::operator()(int) const", (LENGTH,), None, "A::operator()(len=4)"),
    ],
)
def test_a_call(function: str, arguments: tuple[Value, ...], returned: Value | None, text: str) -> None:
    assert call_text(function, arguments, returned) + returned_text(returned) == text


def test_long_values_are_cut() -> None:
    value = Value("s", "const char *", Characters(b"x" * 1000))
    assert call_text("f", (value, LENGTH), None) == f'f(s="{"x" * 98}…, len=4)'
    assert returned_text(value) == f' = "{"x" * 98}…'


def test_many_values_are_cut() -> None:
    text = call_text("f", (LENGTH,) * 1000, None)
    assert text.startswith("f(len=4, len=4, ")
    assert text.endswith(", len=4, …)")
    assert len(text) < 500


def test_what_a_terminal_would_obey_is_not_shown() -> None:
    value = Value("a\x1b", "int", Address(1, "f\x1b[2J"))
    assert "\x1b" not in call_text("f", (value,), value) + returned_text(value)
