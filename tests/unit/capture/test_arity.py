"""The parameters that mangled names spell."""

import pytest

from calltrace_collector.capture.signature.arity import parameter_names


@pytest.mark.parametrize(
    ("demangled", "names"),
    [
        ("f()", ()),
        ("f(int)", ("int",)),
        (
            "ns::f(std::map<int, char>, int (*)(int, char)) const &",
            ("std::map<int, char>", "int (*)(int, char)"),
        ),
        ("main::{lambda(int, int)#1}::operator()(long, long) const", ("long", "long")),
        ("f(char const*, ...)", ("char const*",)),
        ("void g<int, long>(A<int, B<2> >, int) [clone .isra.0]", ("A<int, B<2> >", "int")),
        ("f[abi:cxx11](bool)", ("bool",)),
        ("f(decltype(nullptr))", ("decltype(nullptr)",)),
    ],
)
def test_parameters_are_split_at_their_commas(demangled: str, names: tuple[str, ...]) -> None:
    assert parameter_names("_Z1f", demangled) == names


def test_names_that_say_nothing_are_none() -> None:
    assert parameter_names("main", "main") is None
    assert parameter_names("_Z1q", "_Z1q") is None
    assert parameter_names("_ZTV1A", "vtable for A") is None
    assert parameter_names("_Z1f", "f(A<(B)1>, X<&Y::operator(), 2>)") is None
    assert parameter_names("_Z1f", "f(A<(1>2)>)") is None
