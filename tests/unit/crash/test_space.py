"""Modules and memory of a process: those that it has told of, and those that only its memory map tells of."""

from __future__ import annotations

import ctypes
import time
from dataclasses import replace
from pathlib import Path

import pytest

from calltrace_collector.crash.codeframes import caller
from calltrace_collector.crash.maps import MemoryMap
from calltrace_collector.crash.space import AddressSpace
from calltrace_collector.model.crash import CrashRecord, MemoryRange
from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.frametable import FrameTable
from calltrace_collector.symbols.resolver import Resolver
from tests.support.gdb_crash import modules_of
from tests.unit.crash.conftest import Crashed
from tests.unit.crash.test_reason import record_of
from tests.unit.symbols.oracles import nm, run

CALL = bytes.fromhex("e800000000")


def own_record() -> CrashRecord:
    """A record with this process's own map, as if it had just crashed."""
    clock = replace(record_of().clock, realtime_ns=time.time_ns())
    return record_of(maps=Path("/proc/self/maps").read_text(), clock=clock)


@pytest.fixture(scope="module")
def libc() -> tuple[Path, int]:
    """The path of libc, and where one of its functions is."""
    address = ctypes.cast(ctypes.CDLL("libc.so.6").qsort, ctypes.c_void_p).value
    assert address
    mapping = MemoryMap(Path("/proc/self/maps").read_text()).find(address)
    assert mapping
    return Path(mapping.name), address


def test_a_file_that_only_the_map_tells_of_is_found(libc: tuple[Path, int]) -> None:
    path, address = libc
    module = AddressSpace(own_record(), (), Resolver()).module_at(address)
    assert module
    assert module.path == str(path)
    assert address - module.load_bias == nm(path, "--dynamic")["qsort"]
    assert module.frame_row(address) is not None


def test_a_file_that_has_changed_since_is_not_used(tmp_path: Path) -> None:
    library = tmp_path / "copy.so"
    answer = run("gcc", "-print-file-name=libm.so.6").strip()
    library.write_bytes(Path(answer).read_bytes())
    loaded = ctypes.CDLL(str(library))
    address = ctypes.cast(loaded.cos, ctypes.c_void_p).value
    assert address
    record = own_record()
    assert AddressSpace(record, (), Resolver()).module_at(address)
    late = replace(record, clock=replace(record.clock, realtime_ns=1))
    assert AddressSpace(late, (), Resolver()).module_at(address) is None
    library.unlink()
    library.write_bytes(Path(answer).read_bytes())
    assert AddressSpace(record, (), Resolver()).module_at(address) is None


def test_modules_without_segments_are_found_by_the_map(libc: tuple[Path, int]) -> None:
    path, address = libc
    record = own_record()
    (told,) = [module for module in modules_of(record.maps) if module.path == str(path)]
    module = AddressSpace(record, [replace(told, segments=())], Resolver()).module_at(address)
    assert module
    assert (module.path, module.load_bias) == (str(path), told.load_bias)


def test_the_kernels_library_is_read_from_memory(tmp_path: Path) -> None:
    record = own_record()
    (mapping,) = [one for one in MemoryMap(record.maps).mappings if one.name == "[vdso]"]
    content = ctypes.string_at(mapping.start, mapping.end - mapping.start)
    space = AddressSpace(replace(record, memory=(MemoryRange(mapping.start, content),)), (), Resolver())
    file = tmp_path / "vdso.so"
    file.write_bytes(content)
    offset = nm(file, "--dynamic")["__vdso_clock_gettime"]
    module = space.module_at(mapping.start + offset)
    assert module
    assert module.symbols
    (function,) = module.symbols.functions([offset])
    assert function
    assert function.name in ("clock_gettime", "__vdso_clock_gettime")
    with ElfFile(file) as elf:
        expected = FrameTable([elf]).row(offset)
    assert expected
    assert module.frame_row(mapping.start + offset) == expected
    without = AddressSpace(record, (), Resolver()).module_at(mapping.start + offset)
    assert without is None


def test_a_file_of_another_build_gives_no_symbols(libc: tuple[Path, int]) -> None:
    path, address = libc
    record = own_record()
    (told,) = [module for module in modules_of(record.maps) if module.path == str(path)]
    module = AddressSpace(record, [replace(told, build_id=bytes(20))], Resolver()).module_at(address)
    assert module
    assert module.symbols is None
    assert "another build" in module.problem


def test_recorded_memory_comes_before_what_files_hold(crashed: Crashed, resolver: Resolver) -> None:
    seen = crashed("null", "gcc-O2")
    at = seen.record.registers[16]
    space = AddressSpace(seen.record, seen.modules, resolver)
    code = space.read(at, 4)
    assert code
    assert code != b"abcd"
    changed = replace(seen.record, memory=(MemoryRange(at, b"abcd"),))
    assert AddressSpace(changed, seen.modules, resolver).read(at, 4) == b"abcd"
    assert AddressSpace(changed, seen.modules, resolver).read(at, 5) is None
    assert space.read(1, 8) is None


# --- callers of code without call frame information ---

CODE = 0x400100
STACK = 0x7FFC00010000
RETURN = 0x400205


def bare(code: str, words: list[int], rbp: int = 0) -> tuple[AddressSpace, list[int | None]]:
    """A space with some code in memory, and a stack; registers at both."""
    stack = b"".join(word.to_bytes(8, "little") for word in words)
    memory = (
        MemoryRange(CODE, bytes.fromhex(code)),
        MemoryRange(RETURN - 5, CALL),
        MemoryRange(STACK, stack),
    )
    registers: list[int | None] = [0] * 17
    registers[7], registers[16], registers[6] = STACK, CODE, rbp
    return AddressSpace(record_of(memory=memory), (), Resolver()), registers


def test_where_nothing_was_executed_the_return_address_is_on_top() -> None:
    space, registers = bare("90", [RETURN])
    registers[16] = 0x10
    cfa, found = caller(space, None, registers, is_exact=True)
    assert (cfa, found[16], found[7]) == (STACK + 8, RETURN, STACK + 8)


@pytest.mark.parametrize("word", [0, 0x10, RETURN - 1, RETURN + 1, STACK, 0x7F0000900010])
def test_what_no_call_comes_before_is_no_return_address(word: int) -> None:
    space, registers = bare("90", [word])
    registers[16] = 0x10
    with pytest.raises(ValueError, match="there is no call before"):
        caller(space, None, registers, is_exact=True)


def test_a_jump_of_a_linkage_table_leaves_the_stack_as_it_is() -> None:
    space, registers = bare("f30f1efaff25e22f0000", [RETURN])
    assert caller(space, None, registers, is_exact=True)[1][16] == RETURN


def test_code_without_a_known_start_ends_the_trace() -> None:
    space, registers = bare("554889e59090", [0, RETURN], rbp=STACK)
    with pytest.raises(ValueError, match="there is no call frame information"):
        caller(space, None, registers, is_exact=True)


def test_what_a_signal_interrupted_is_found_without_call_frame_information() -> None:
    words = [0] * 40
    words[5:22] = range(1000, 1017)  # r8 to r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip
    space, registers = bare("48c7c00f0000000f05", words)
    cfa, found = caller(space, None, registers, is_exact=False)
    assert found == [1013, 1012, 1014, 1011, 1009, 1008, 1010, 1015, *range(1000, 1008), 1016]
    assert cfa == 1015
