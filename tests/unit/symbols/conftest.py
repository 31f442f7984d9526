"""Compiled fixtures, made once; each build is a name that tests ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support.compile import ROOT, compile_c, compile_cxx

FIXTURES = ROOT / "tests/fixtures/symbols"
COLD = """__attribute__((cold, noinline)) void fail(void) { __asm__(""); }

__attribute__((noinline)) int
risky(int value)
{
    if (value > 1000) {
        fail();
        fail();
    }
    return value;
}

int main(int argc, char **argv)
{
    return risky(argc) + !argv;
}
"""
"""A program whose function risky, declared in line 4, has a part elsewhere, risky.cold."""

TRACED = ("-finstrument-functions",)

C_BUILDS: dict[str, tuple[Sequence[str], Sequence[str]]] = {  # sources and flags
    "plain": (("shapes.c", "helper.c"), ("-O0", "-gdwarf-5", *TRACED)),
    "dwarf4": (("shapes.c", "helper.c"), ("-O0", "-gdwarf-4", *TRACED)),
    "dwarf3": (("shapes.c", "helper.c"), ("-O0", "-gdwarf-3", "-gstrict-dwarf", *TRACED)),
    "dwarf64": (("shapes.c", "helper.c"), ("-O0", "-gdwarf-5", "-gdwarf64", *TRACED)),
    "no-pie": (("shapes.c", "helper.c"), ("-O0", "-no-pie", *TRACED)),
    "optimized": (("shapes.c", "helper.c"), ("-O2", "-gdwarf-4", *TRACED)),
    "lto": (("shapes.c", "helper.c"), ("-O2", "-gdwarf-4", "-flto=1", "-fno-ipa-icf", *TRACED)),
    "zlib": (("shapes.c", "helper.c"), ("-O0", "-gz=zlib", *TRACED)),
    "old-zlib": (("shapes.c", "helper.c"), ("-O0", "-gz=zlib-gnu", *TRACED)),
    "sections": (
        ("shapes.c", "helper.c"),
        ("-O1", "-gdwarf-4", "-ffunction-sections", "-Wl,--gc-sections", *TRACED),
    ),
    "library": (("helper.c",), ("-O0", "-shared", "-fPIC", "-Wl,-z,lazy", *TRACED)),
    "labels": (("labels.S",), ("-O0",)),
    "clang5": (("clang5.s",), ()),
    "clang4": (("clang4.s",), ()),
    "uninstrumented": (("clang.c",), ("-O0",)),
}
CXX_BUILDS = {
    "c++": ("-O0",),
    "c++-optimized": ("-O2", "-gdwarf-4", "-fno-inline", "-ffunction-sections", "-Wl,--gc-sections"),
    "c++-types": ("-O1", "-gdwarf-4", "-fno-inline", "-fdebug-types-section"),
}

Build = Callable[[str], Path]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Returns the program of that name, compiled when it is first asked for."""
    folder = tmp_path_factory.mktemp("symbols")

    def build(name: str) -> Path:
        output = folder / name
        if output.exists():
            return output
        if name in CXX_BUILDS:
            return compile_cxx([FIXTURES / "shapes.cpp"], output, CXX_BUILDS[name])
        sources, flags = C_BUILDS[name]
        return compile_c([FIXTURES / source for source in sources], output, flags)

    return build
