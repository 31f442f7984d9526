"""Globs match the names by which people call C and C++ functions."""

import pytest

from calltrace_collector.errors import UsageError
from calltrace_collector.symbols.globs import any_matcher, glob_matcher, name_forms, split_globs


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
        ("greet", "greet[abi:cxx11](char const*)"),
        ("greet(char const*)", "greet[abi:cxx11](char const*)"),
        ("ns::A::name", "ns::A::name[abi:cxx11]() const"),
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


# --- several globs ---


@pytest.mark.parametrize(
    ("globs", "split"),
    [
        ("parse_*,ns::*", ["parse_*", "ns::*"]),
        (" a , ,b,", ["a", "b"]),
        ("f(int, char),g", ["f(int, char)", "g"]),
        ("std::map<int, A>::at,b", ["std::map<int, A>::at", "b"]),
        ("operator<,parse", ["operator<", "parse"]),
        (
            "operator<<,x,A::operator->,y,operator(),z",
            ["operator<<", "x", "A::operator->", "y", "operator()", "z"],
        ),
        ("a<b,c", ["a<b", "c"]),
        ("a>b,c", ["a>b", "c"]),
        ("", []),
        (",", []),
    ],
)
def test_globs_are_split_at_commas_that_belong_to_no_name(globs: str, split: list[str]) -> None:
    assert split_globs(globs) == split


@pytest.mark.parametrize(
    ("globs", "name", "is_match"),
    [
        ("*", "anything at all", True),
        ("x,*", "main", True),
        ("parse_*,ns::*", "parse_line", True),
        ("parse_*,ns::*", "ns::f(int) const", True),
        ("parse_*,ns::*", "main", False),
        ("f(int, char),g", "f(int, char)", True),
        ("a,b", "ab", False),
        ("a,b", "a,b", False),
    ],
)
def test_one_of_several_globs_is_enough(globs: str, name: str, is_match: bool) -> None:
    matches = any_matcher(globs)
    assert [matches(name), matches(name)] == [is_match, is_match]


@pytest.mark.parametrize("globs", ["", " ,", "a,b[", "*,[", "x," * 257, "x" * 4097])
def test_several_globs_of_which_one_makes_no_sense(globs: str) -> None:
    with pytest.raises(UsageError):
        any_matcher(globs)


def test_as_many_globs_as_there_may_be() -> None:
    assert any_matcher(",".join(f"f{n}" for n in range(256)))("f255")
