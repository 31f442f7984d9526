"""Records, expressions and call frame information that are not what they should be."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calltrace_collector.crash.analyze import Analyzer
from calltrace_collector.crash.expression import evaluate
from calltrace_collector.errors import SymbolError
from calltrace_collector.model.crash import MemoryRange, OpenCall, UncaughtException
from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.frametable import FrameTable
from calltrace_collector.symbols.resolver import Resolver
from tests.support.gdb_crash import GdbCrash
from tests.unit.crash.conftest import Crashed

MASK = (1 << 64) - 1
ADDRESSES = st.one_of(st.integers(0, MASK), st.integers(0, 1 << 17), st.integers(MASK - 4096, MASK))
CALLS = st.lists(st.builds(OpenCall, st.integers(1, 99), ADDRESSES, ADDRESSES, ADDRESSES), max_size=8)


@pytest.fixture(scope="module")
def seen(crashed: Crashed) -> GdbCrash:
    return crashed("callback", "gcc-O2")


def relaxed(examples: int) -> settings:
    return settings(
        max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )


@relaxed(150)
@given(data=st.data())
def test_any_record_is_analyzed(seen: GdbCrash, resolver: Resolver, data: st.DataObject) -> None:
    registers = list(seen.record.registers)
    for register in data.draw(st.lists(st.integers(0, 16), max_size=4)):
        near = st.sampled_from(registers).flatmap(
            lambda value: st.integers(-64, 64).map(lambda step: value + step)
        )
        registers[register] = data.draw(st.one_of(ADDRESSES, near)) & MASK
    memory = [spoil(part, random.Random(data.draw(st.integers()))) for part in seen.record.memory]
    maps = data.draw(
        st.sampled_from([seen.record.maps, "", seen.record.maps[:700], "0-ffffffffffffffff rwxp"])
    )
    record = replace(
        seen.record,
        registers=tuple(registers) if data.draw(st.integers(0, 9)) else (),
        memory=tuple(memory[: data.draw(st.integers(0, len(memory)))]),
        maps=maps + data.draw(st.text(max_size=80)),
        signal=data.draw(
            st.one_of(st.sampled_from([4, 5, 6, 7, 8, 11, 31]), st.integers(-(2**31), 2**31 - 1))
        ),
        code=data.draw(st.one_of(st.integers(-7, 9), st.integers(-(2**31), 2**31 - 1))),
        fault_address=data.draw(ADDRESSES),
        trap_number=data.draw(st.sampled_from([0, 13, 14, MASK])),
        exception=data.draw(
            st.one_of(st.none(), st.builds(UncaughtException, st.text(), st.none() | st.text()))
        ),
        abort_message=data.draw(st.text()),
    )
    modules = [
        replace(module, load_bias=data.draw(ADDRESSES)) if data.draw(st.integers(0, 5)) == 0 else module
        for module in seen.modules
    ]
    analysis = Analyzer(resolver)(record, modules, data.draw(CALLS))
    assert analysis.reason.startswith(analysis.signal_name)
    assert analysis.frames or not record.registers


def spoil(part: MemoryRange, chance: random.Random) -> MemoryRange:
    """Changes some words of the memory."""
    content = bytearray(part.content)
    for _ in range(chance.randrange(12)):
        at = chance.randrange(0, len(content) - 8, 8)
        content[at : at + 8] = chance.choice([chance.randbytes(8), bytes(8), content[-16:-8]])
    return MemoryRange(part.address, bytes(content[: chance.randrange(len(content)) or None]))


@relaxed(500)
@given(expression=st.binary(max_size=40), first=ADDRESSES)
def test_any_expression_ends(expression: bytes, first: int) -> None:
    def read(address: int, size: int) -> int:
        return address >> size

    with contextlib.suppress(IndexError, ValueError, ZeroDivisionError):
        assert 0 <= evaluate(expression, [1, None, *range(15)], read, 0x1000, first) <= MASK


@pytest.mark.parametrize(
    "expression",
    [
        b"\x2f\xfd\xff",  # skip to itself
        b"\x12\x2f\xfc\xff",  # dup, for ever
        b"\x24",  # fewer operands than it needs
        b"\x34" * 300,  # more than any needs
    ],
)
def test_expressions_that_do_not_end_are_refused(expression: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        evaluate(expression, [0] * 17, lambda address, _: address, 0, 1)


def test_damaged_call_frame_information_is_an_error(tmp_path: Path, seen: GdbCrash) -> None:
    program = Path(seen.modules[0].path)
    with ElfFile(program) as elf:
        section = elf.section(".eh_frame")
        assert section
        start = program.read_bytes().index(section.read_all())
        first, last = (int(bound) for bound in elf.executable_ranges[-2])
    good = program.read_bytes()
    outcomes = [
        outcome(tmp_path / "damaged", good, start, section.size, range(first, last, 7), random.Random(seed))
        for seed in range(60)
    ]
    assert {"row", "error"} <= set().union(*outcomes)


def outcome(
    path: Path, good: bytes, start: int, size: int, addresses: Sequence[int], chance: random.Random
) -> set[str]:
    """What comes of asking for rows, after some bytes of .eh_frame have changed."""
    content = bytearray(good)
    for _ in range(chance.randrange(1, 9)):
        content[start + chance.randrange(size)] = chance.randrange(256)
    path.write_bytes(content)
    found = set()
    with ElfFile(path) as elf:
        table = FrameTable([elf])
        for address in addresses:
            try:
                found.add("row" if table.row(address) else "none")
            except SymbolError:
                found.add("error")
    return found
