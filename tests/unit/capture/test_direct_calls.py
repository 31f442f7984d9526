"""Who calls a function by name, and what follows for arguments that it does not use."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from calltrace_collector.capture.code.direct_calls import DirectCalls
from calltrace_collector.capture.code.file_code import FileCode
from calltrace_collector.capture.signature.subprograms import Subprograms
from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.symtab import SymbolTable
from tests.support.compile import compile_c

CALLED = """
__attribute__((noinline)) int called(int unused, int used) { return used + 1; }
__attribute__((noinline)) int uncalled(int unused, int used) { return used + 2; }
"""
CALLER = """
int called(int unused, int used);
int caller(int given) { return called(given, 2) - 3; }
int jumper(int given) { return called(4, given); }
"""


def library(folder: Path, sources: dict[str, str], *flags: str) -> Path:
    """Compiles sources into a shared library with clang."""
    paths = []
    for name, text in sources.items():
        paths.append(folder / name)
        paths[-1].write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CC", shutil.which("clang") or "clang")
        return compile_c(
            paths, folder / "library.so", ("-O2", "-shared", "-fPIC", "-Wno-unused-parameter", *flags)
        )


def address_of(elf: ElfFile, name: str) -> int:
    (address,) = SymbolTable([elf]).named(name)
    return address


@pytest.mark.parametrize("flags", [(), ("-fno-plt",), ("-fvisibility=hidden",)], ids=" ".join)
def test_calls_and_jumps_are_found_however_they_lead_there(tmp_path: Path, flags: tuple[str, ...]) -> None:
    path = library(tmp_path, {"called.c": CALLED, "caller.c": CALLER}, *flags)
    with ElfFile(path) as elf:
        calls = DirectCalls(FileCode([elf]))
        function, caller, jumper = (address_of(elf, name) for name in ("called", "caller", "jumper"))
        sources = sorted(calls.sources(function, ["called"]).tolist())
        assert not len(calls.sources(address_of(elf, "uncalled"), ["uncalled"]))
    assert len(sources) == 2
    assert caller < sources[0] < jumper < sources[1]


@pytest.mark.parametrize("together", [False, True], ids=["apart", "together"])
def test_only_callers_of_the_same_object_leave_out_what_is_not_used(
    tmp_path: Path, *, together: bool
) -> None:
    sources = {"both.c": CALLED + CALLER} if together else {"called.c": CALLED, "caller.c": CALLER}
    with ElfFile(library(tmp_path, sources, "-g")) as elf:
        called, uncalled = Subprograms([elf]).at([address_of(elf, name) for name in ("called", "uncalled")])
    assert called is not None
    assert uncalled is not None
    assert any(one.is_skipped_unused for one in called.parameters) == together
    assert not any(one.is_skipped_unused for one in uncalled.parameters)
