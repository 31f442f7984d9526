"""Globs match the names by which people call C and C++ functions."""

import pytest

from calltrace_collector.errors import UsageError
from calltrace_collector.symbols.globs import glob_matcher, name_forms


@pytest.mark.parametrize(
    ("glob", "name"),
    [
        ("main", "main"),
        ("m*", "main"),
        ("ma[hi]n", "main"),
        ("ma?n", "main"),
        ("ns::f", "ns::f(int, char const*)"),
        ("ns::f(int, char const*)", "ns::f(int, char const*)"),
        ("ns::*", "ns::f(int) const"),
        ("A::f", "A::f(void (*)(int)) const &"),
        ("ns::f<int>", "void ns::f<int>(int)"),
        ("std::vector<*>::push_back", "std::vector<int, std::allocator<int> >::push_back(int&&)"),
        ("make<std::pair<int, char> >", "std::pair<int, char> make<std::pair<int, char> >(int)"),
        ("A::operator()", "A::operator()(int) const"),
        ("operator[[]]", "operator[](A&, int)"),
        ("operator new", "operator new(unsigned long)"),
        ("A::operator<<", "A::operator<<(int)"),
        ("(anonymous namespace)::f", "(anonymous namespace)::f(int)"),
        ("work", "work(int) [clone .part.0]"),
        ("*lambda*", "main::{lambda(int)#1}::operator()(int) const"),
        ("a]b", "a]b"),
    ],
)
def test_a_match(glob: str, name: str) -> None:
    assert glob_matcher(glob)(name)


@pytest.mark.parametrize(
    ("glob", "name"),
    [
        ("main", "domain"),
        ("main", "mainly"),
        ("Main", "main"),
        ("f", "ns::f(int)"),
        ("int", "f(int)"),
        ("f", "f<int>(int)"),
        ("new", "operator new(unsigned long)"),
        ("ma[!hi]n", "main"),
    ],
)
def test_no_match(glob: str, name: str) -> None:
    assert not glob_matcher(glob)(name)


@pytest.mark.parametrize("glob", ["", "[", "a[b", "a[]", "a[!]", "[a]b["])
def test_a_glob_that_makes_no_sense(glob: str) -> None:
    with pytest.raises(UsageError):
        glob_matcher(glob)


@pytest.mark.parametrize("name", ["", "(", ")", ")(", "f)", "f(()", "<", "a b>", " const", "operator"])
def test_names_that_are_none_have_forms_too(name: str) -> None:
    assert name_forms(name)[0] == name
