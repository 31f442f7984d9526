"""Bytes that lead somewhere, up to the edges of their section."""

from __future__ import annotations

from pathlib import Path

import pytest

from calltrace_collector.capture.code.branches import Branches, branches, code_sections
from calltrace_collector.capture.code.hook_sites import HookSite, hook_sites
from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.probe import ENTRY_HOOK
from tests.support.compile import compile_c

TARGET = 0x5000
ADDRESS = 0x4000


def section_of(folder: Path, code: bytes) -> Path:
    """Links a program whose code is just these bytes, at ADDRESS."""
    source = folder / "code.s"
    source.write_text(f".text\n.byte {','.join(map(str, code))}\n")
    return compile_c([source], folder / "code", ("-nostdlib", "-static", f"-Wl,-Ttext={ADDRESS:#x},-e,0"))


def leading(operation: bytes, end: int) -> bytes:
    """An instruction that ends so many bytes behind ADDRESS and leads to TARGET."""
    return operation + (TARGET - ADDRESS - end).to_bytes(4, "little", signed=True)


def rows(found: Branches) -> list[tuple[int, int, int]]:
    columns = found.ends - ADDRESS, found.targets, found.operations
    return list(zip(*(column.tolist() for column in columns), strict=True))


STRAIGHT = [b"\xe8", b"\xe9", *(bytes((0x0F, last)) for last in range(0x80, 0x90))]
THROUGH = [b"\xff\x15", b"\xff\x25"]
EDGES = [(b"", b""), (b"\x90", b""), (b"", b"\x90"), (b"\x0f", b"\x0f"), (b"\xff", b"\xff")]


@pytest.mark.parametrize(("before", "behind"), EDGES)
def test_what_fills_a_section_is_found(tmp_path: Path, before: bytes, behind: bytes) -> None:
    for operation in STRAIGHT + THROUGH:
        end = len(before) + len(operation) + 4
        with ElfFile(section_of(tmp_path, before + leading(operation, end) + behind)) as elf:
            (section,) = code_sections(elf)
            straight, through = branches(section)
            entry_calls = hook_sites(elf, {TARGET: ENTRY_HOOK}, {TARGET: ENTRY_HOOK})
        assert rows(straight) == ([(end, TARGET, operation[-1])] if operation in STRAIGHT else [])
        assert rows(through) == ([(end, TARGET, operation[-1])] if operation in THROUGH else [])
        is_conditional = operation[0] == 0x0F
        is_jump = operation in (b"\xe9", b"\xff\x25")
        assert entry_calls == ([] if is_conditional else [HookSite(ADDRESS + end, True, is_jump)])


@pytest.mark.parametrize("code", [whole[:-1] for whole in (leading(one, 6) for one in STRAIGHT + THROUGH)])
def test_what_is_cut_is_not_found(tmp_path: Path, code: bytes) -> None:
    with ElfFile(section_of(tmp_path, code)) as elf:
        (section,) = code_sections(elf)
        straight, through = branches(section)
    assert rows(straight) == rows(through) == []
