import subprocess
from pathlib import Path

import pytest

from calltrace_collector.symbols import cxxabi
from calltrace_collector.symbols.demangle import demangle
from tests.unit.symbols import oracles
from tests.unit.symbols.conftest import Build


def test_names_are_those_of_cxxfilt(build: Build) -> None:
    names = sorted(oracles.nm(build("c++")))
    assert sum(name.startswith("_Z") for name in names) > 80
    assert demangle(names) == oracles.run("c++filt", text="\n".join(names)).splitlines()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("main", "main"),
        ("", ""),
        ("_Z", "_Z"),
        ("_Znonsense", "_Znonsense"),
        ("_Z1fv\nmain", "_Z1fv\nmain"),
        ("_Z1fé", "_Z1fé"),
        ("_Z1fv", "f()"),
        ("_Z1fv.cold", "f() [clone .cold]"),
        ("_ZN5OuterC1Ev", "Outer::Outer()"),
    ],
)
def test_known_names(name: str, expected: str) -> None:
    assert demangle([name]) == [expected]


def doubling(levels: int) -> str:
    """A name each of whose arguments is a pair of the one before: its length doubles with each."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    arguments = "".join(f"S_IS{digits[level]}_S{digits[level]}_E" for level in range(levels))
    return f"_Z1fSt4pairIiiE{arguments}"


def test_names_with_many_references_are_those_of_cxxfilt() -> None:
    names = [doubling(levels) for levels in range(8)]
    assert demangle(names) == oracles.run("c++filt", text="\n".join(names)).splitlines()


def test_a_name_that_stands_for_gigabytes_stays_mangled() -> None:
    bomb = doubling(34)
    assert len(bomb) < 400
    assert demangle(["_Z1fv", bomb, doubling(3), "_Z1gv"]) == [
        "f()",
        bomb,
        oracles.run("c++filt", doubling(3)).strip(),
        "g()",
    ]


def test_long_results_stay_mangled() -> None:
    long = doubling(14)
    assert len(oracles.run("c++filt", long)) > cxxabi.MAX_DEMANGLED_BYTES
    assert demangle([long]) == [long]


def test_deep_nesting_does_not_crash() -> None:
    deep = "_Z1f" + "P" * 500_000 + "i"
    assert demangle([deep, "_Z1fv"]) == [deep, "f()"]


def test_without_a_cxx_runtime_names_stay_mangled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cxxabi, "_LIBRARIES", ("libnothing.so.7",))
    cxxabi.demangler.cache_clear()
    try:
        assert demangle(["_Z1fv", "main"]) == ["_Z1fv", "main"]
    finally:
        cxxabi.demangler.cache_clear()


def test_without_a_process_to_run_it_in_a_name_stays_mangled(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "run", refuse)
    long = doubling(6)
    assert demangle([long, "_Z1fv"]) == [long, "f()"]


def test_the_program_answers_line_by_line() -> None:
    answer = oracles.run("python3", "-I", "-S", Path(cxxabi.__file__), text="_Z1fv\nnonsense\n_Z1gi\n")
    assert answer == "f()\n\ng(int)\n"
