"""Machine code, against objdump."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from calltrace_collector.crash.instructions import (
    Operand,
    decode_operand,
    ends_in_call,
    frame_pointer_prologue,
    is_jump_stub,
)
from tests.unit.symbols.oracles import run

NAMES = ["rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16)), "rip"]
VALUES = [(number * 0x0123456789ABCDEF + 0x7F00) & (1 << 64) - 1 for number in range(16)]
BASES = (0x7F12_0000_0000, 0x33_0000)
MASK = (1 << 64) - 1
OPERAND = re.compile(r"(?:%([fg])s:)?(-?0x[0-9a-f]+)?\((?:%(\w+))?(?:,%(\w+),([1248]))?\)")

Line = tuple[int, bytes, str]


@pytest.fixture(scope="module")
def listing() -> list[Line]:
    """Instructions of libc: address, bytes, text."""
    answer = subprocess.run(["gcc", "-print-file-name=libc.so.6"], capture_output=True, text=True, check=True)
    text = run("objdump", "-d", "-w", "--section=.text", Path(answer.stdout.strip()).resolve())
    found = re.finditer(r"^ *([0-9a-f]+):\t((?:[0-9a-f]{2} )+) *\t(.*)$", text, re.MULTILINE)
    return [(int(match[1], 16), bytes.fromhex(match[2]), match[3]) for match in found]


def test_every_call_is_seen(listing: list[Line]) -> None:
    calls = [code for _, code, text in listing if re.match(r"(?:notrack |bnd )*call", text)]
    assert len(calls) > 5_000
    assert {len(code) for code in calls} >= {2, 3, 5, 6}
    for code in calls:
        assert ends_in_call((bytes(7) + code)[-7:]), code.hex()


@pytest.mark.parametrize(
    "code", ["90" * 7, "ffe0", "ff2500000000", "00", "", "e8", "ff", "ffff", "488b4008", "ff6010"]
)
def test_what_is_no_call_is_not_taken_for_one(code: str) -> None:
    assert not ends_in_call(bytes.fromhex(code))


def expected_address(text: str, address: int, size: int) -> int | None:
    match = OPERAND.search(text)
    if match is None:
        return None
    values = dict(zip(NAMES, VALUES, strict=False))
    total = int(match[2] or "0", 16)
    if match[1]:
        total += BASES[match[1] == "g"]
    if match[3] == "rip":
        total += address + size
    elif match[3]:
        total += values[match[3]]
    if match[4] and match[4] not in ("riz", "eiz"):
        total += values[match[4]] * int(match[5])
    return total & MASK


def test_addresses_of_operands_are_those_of_objdump(listing: list[Line]) -> None:
    decoded = in_memory = relative = 0
    for address, code, text in listing[::5]:
        operand = decode_operand(code, [*VALUES, address], BASES)
        if operand is None:
            continue
        decoded += 1
        if operand.address is None:
            continue
        if re.search(r"%e\w\w[,)]|%r\d+d[,)]", text.partition("#")[0].partition("(")[2].partition(")")[0]):
            pytest.fail(f"{text}: has an address of 32 bits")
        expected = expected_address(text, address, len(code))
        assert operand.address == expected or expected is None, (hex(address), code.hex(), text)
        in_memory += 1
        relative += "(%rip)" in text
    assert decoded > 5_000
    assert in_memory > 2_000
    assert relative > 100


def test_divisions_are_decoded() -> None:
    assert decode_operand(bytes.fromhex("f7f9"), [*VALUES, 0], BASES) == Operand(0xF7, 7, 4, 2, None)
    assert decode_operand(bytes.fromhex("48f7f6"), [*VALUES, 0], BASES) == Operand(0xF7, 6, 8, 4, None)
    found = decode_operand(bytes.fromhex("f77dec"), [*VALUES, 0], BASES)
    assert found == Operand(0xF7, 7, 4, None, VALUES[6] - 20)


def test_cut_off_instructions_have_no_operand() -> None:
    for code in ("", "48", "8b", "8b04", "8b0425", "8b4424", "c5", "c4e2", "0f"):
        assert decode_operand(bytes.fromhex(code), [*VALUES, 0], BASES) is None


def test_prologues_and_stubs() -> None:
    assert frame_pointer_prologue(bytes.fromhex("554889e54883")) == (1, 4)
    assert frame_pointer_prologue(bytes.fromhex("f30f1efa554889e5")) == (5, 8)
    assert frame_pointer_prologue(bytes.fromhex("534889e5")) is None
    assert frame_pointer_prologue(b"") is None
    assert is_jump_stub(bytes.fromhex("ff25e22f0000"))
    assert is_jump_stub(bytes.fromhex("f30f1efaff25e22f0000"))
    assert not is_jump_stub(bytes.fromhex("ff15e22f0000"))
