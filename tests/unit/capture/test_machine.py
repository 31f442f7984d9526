"""The processor itself tells whether what is said of an instruction is so."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from iced_x86 import ConditionCode

from calltrace_collector.capture.machine.expression import Expression, Value
from calltrace_collector.capture.machine.flags import condition
from calltrace_collector.capture.machine.instructions import Flow, steps
from calltrace_collector.capture.machine.state import State
from tests.support.expressions import Evaluator
from tests.support.native_code import MEMORY_BYTES, NativeCode, Registers
from tests.unit.capture.instruction_list import listed

ROUNDS = 4
SEQUENCES = 250

HAS_AVX = "avx2" in Path("/proc/cpuinfo").read_text().split()
CARRY, ZERO, SIGN, OVERFLOW, PARITY = 1, 0x40, 0x80, 0x800, 4
CC = ConditionCode


class Bytes:
    """The code of a piece, as of a file without names and constants."""

    def __init__(self, native: NativeCode, number: int) -> None:
        self.start, self._data = native.code(number)

    def read(self, address: int, size: int) -> bytes:
        return self._data[address - self.start :][:size]

    def target_name(self, _address: int) -> str | None:
        return None

    def got_name(self, _address: int) -> str | None:
        return None

    def constant(self, _address: int, _size: int) -> bytes | None:
        return None


_LISTED = listed()
KNOWN = _LISTED["known"] + (_LISTED["known of AVX2"] if HAS_AVX else [])
SINGLE = KNOWN + _LISTED["forgetting"]


def _sequences() -> list[str]:
    """Returns pieces of several instructions, the same each time."""
    picks = random.Random(4)
    # None that takes away the pointers to memory, gets to the same memory otherwise, or needs it aligned.
    choice = [
        piece
        for piece in SINGLE
        if not re.search(r"rip|leave|rsp, |xchg \[|(aps|dqa|ntps) .*\[rsp|push rsp|pop rsp", piece)
    ]
    return ["\n".join(picks.choice(choice) for _ in range(picks.randint(2, 7))) for _ in range(SEQUENCES)]


SOME_SEQUENCES = _sequences()


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> NativeCode:
    return NativeCode(SINGLE + SOME_SEQUENCES, tmp_path_factory.mktemp("native"))


def _follow(native: NativeCode, number: int) -> State:
    code = Bytes(native, number)
    general: list[Value] = [("reg", n) for n in range(16)]
    xmm: list[Value] = [("xmm", n, half) for n in range(16) for half in (0, 1)]
    state = State(code, general, xmm)
    for after, step in steps(code, code.start):
        assert step.flow == Flow.NEXT
        assert step.effect is not None
        state.next = after
        step.effect(state)
    return state


def _number(picks: random.Random) -> int:
    kind = picks.randrange(5)
    if kind == 0:
        return picks.choice(
            (0, 1, 0x7F, 0x80, 0xFFFF, 0x7FFFFFFF, 0x80000000, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
        )
    if kind == 1:
        return picks.randrange(100)
    if kind == 2:
        return 0x3FF0000000000000 + (picks.randrange(1 << 12) << 44)
    if kind == 3:
        return (0x40000000 + (picks.randrange(1 << 10) << 16)) * 0x100000001
    return picks.getrandbits(64)


def _start(native: NativeCode, picks: random.Random) -> Registers:
    general = [_number(picks) for _ in range(16)]
    # rbx, rbp, rdi and rsp lead to memory, rsi is a small index, rcx a small count.
    for number, offset in ((3, 512), (6, 1024), (5, 1536), (7, 2048)):
        general[number] = native.memory_address + offset + 16 * picks.randrange(4)
    general[4] = picks.randrange(8)
    general[2] = picks.randrange(70) if picks.randrange(2) else picks.randrange(5)
    return Registers(tuple(general), tuple(_number(picks) for _ in range(32)), 0x202 | picks.choice((0, 1)))


def _expected(state: State, evaluate: Evaluator) -> Iterator[tuple[str, int, int]]:
    """Gives what is said of each register: its name, how many bytes of it, and their value."""
    yield from _parts("general", state.general, evaluate)
    yield from _parts("xmm", state.xmm, evaluate)


def _parts(name: str, values: list[Value], evaluate: Evaluator) -> Iterator[tuple[str, int, int]]:
    for number, value in enumerate(values):
        known = _known_part(value)
        if known is not None:
            yield f"{name} {number}", known[1], evaluate(known[0])


def _known_part(value: Value) -> tuple[Expression, int] | None:
    if value is None:
        return None
    return (value[3], value[1]) if value[0] == "insert" and value[2] == ("unknown",) else (value, 8)


def _is_nan(value: int, size: int) -> bool:
    if size == 4:
        return value & 0x7F800000 == 0x7F800000 and value & 0x7FFFFF != 0
    return value & 0x7FF << 52 == 0x7FF << 52 and value & (1 << 52) - 1 != 0


def _same(a: int, b: int, size: int) -> bool:
    """Tells whether two values are equal, or not-a-number in the same places."""
    low = (1 << 8 * size) - 1
    if a & low == b & low or (size == 8 and _is_nan(a, 8) and _is_nan(b, 8)):
        return True
    return all(
        x == y or (_is_nan(x, 4) and _is_nan(y, 4))
        for x, y in ((a >> shift & 0xFFFFFFFF & low, b >> shift & 0xFFFFFFFF & low) for shift in (0, 32))
    )


def _met(flags: int, code: int) -> bool:
    """Returns whether a condition is met, by the processor's manual."""
    carry, zero, sign = bool(flags & CARRY), bool(flags & ZERO), bool(flags & SIGN)
    overflow, parity = bool(flags & OVERFLOW), bool(flags & PARITY)
    less = sign != overflow
    met: dict[int, bool] = {
        CC.O: overflow, CC.B: carry, CC.E: zero, CC.BE: carry or zero, CC.S: sign, CC.P: parity,
        CC.L: less, CC.LE: less or zero,
    }  # fmt: skip
    opposite: dict[int, int] = {
        CC.NO: CC.O, CC.AE: CC.B, CC.NE: CC.E, CC.A: CC.BE,
        CC.NS: CC.S, CC.NP: CC.P, CC.GE: CC.L, CC.G: CC.LE,
    }  # fmt: skip
    return met[code] if code in met else not met[opposite[code]]


def _check(native: NativeCode, number: int, picks: random.Random) -> None:
    state = _follow(native, number)
    registers = _start(native, picks)
    memory = b"".join(_number(picks).to_bytes(8, "little") for _ in range(MEMORY_BYTES // 8))
    native.fill(memory)
    atoms: dict[Expression, int] = {("reg", n): value for n, value in enumerate(registers.general)}
    atoms |= {("xmm", place // 2, place % 2): value for place, value in enumerate(registers.xmm)}
    evaluate = Evaluator(atoms, native.read)
    expected = list(_expected(state, evaluate))
    stored = [
        (evaluate(base) + offset - native.memory_address, size, None if value is None else evaluate(value))
        for base, slots in state.memory.slots.items()
        for offset, (size, value) in slots.items()
        if value is None or _known_part(value) == (value, 8)
    ]
    conditions = [(code, condition(state, code)) for code in range(1, 17)]
    met = [(code, evaluate(value)) for code, value in conditions if value is not None]

    after, memory_after = native.run(number, registers, memory)

    for name, size, value in expected:
        kind, place = name.split()
        real = (after.general if kind == "general" else after.xmm)[int(place)]
        assert _same(value, real, size), f"{name}: {value:#x}, really {real:#x}"
    for code, value in met:
        assert value == _met(after.flags, code), f"condition {code}"
    _check_memory(stored, state.memory.lost, memory, memory_after)


def _check_memory(stored: list[tuple[int, int, int | None]], lost: bool, before: bytes, after: bytes) -> None:
    untouched = bytearray(b"\1" * MEMORY_BYTES)
    for offset, size, value in stored:
        if value is not None:
            real = int.from_bytes(after[offset : offset + size], "little")
            assert _same(value, real, min(size, 8)), f"memory at {offset}: {value:#x}, really {real:#x}"
        untouched[offset : offset + size] = bytes(size)
    if not lost:
        changed = [
            index for index in range(MEMORY_BYTES) if before[index] != after[index] and untouched[index]
        ]
        assert not changed


@pytest.mark.parametrize("number", range(len(SINGLE)), ids=SINGLE)
def test_what_is_said_of_an_instruction_is_what_the_processor_does(native: NativeCode, number: int) -> None:
    picks = random.Random(number)
    for _ in range(ROUNDS):
        _check(native, number, picks)


@pytest.mark.parametrize("number", range(SEQUENCES))
def test_what_is_said_of_instructions_in_a_row_is_what_the_processor_does(
    native: NativeCode, number: int
) -> None:
    picks = random.Random(number)
    for _ in range(ROUNDS):
        _check(native, len(SINGLE) + number, picks)


@pytest.mark.parametrize("number", range(len(KNOWN)), ids=KNOWN)
def test_a_modelled_instruction_leaves_everything_known(native: NativeCode, number: int) -> None:
    state = _follow(native, number)
    assert None not in state.general
    assert None not in state.xmm
    assert not state.memory.lost
