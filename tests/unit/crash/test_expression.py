"""DWARF expressions: what each operation gives, by the standard."""

from __future__ import annotations

import pytest

from calltrace_collector.crash.expression import evaluate

REGISTERS = [100 + number for number in range(16)] + [0x40100B]
MEMORY = {0x1000: 0x1122334455667788}
MASK = (1 << 64) - 1


def read(address: int, size: int) -> int:
    if address not in MEMORY:
        raise ValueError(f"{address:#x} is not known")
    return MEMORY[address] & (1 << 8 * size) - 1


def run(text: str, first: int | None = None) -> int:
    return evaluate(bytes.fromhex(text), REGISTERS, read, 0x7000, first)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("35", 5),  # lit5
        ("03 0010000000000000", 0x8000),  # addr, relocated
        ("08ff", 255),  # const1u
        ("09ff", MASK),  # const1s
        ("0affff", 0xFFFF),
        ("0bfeff", MASK - 1),
        ("0cffffffff", 0xFFFFFFFF),
        ("0dffffffff", MASK),
        ("0e ffffffffffffffff", MASK),
        ("0f feffffffffffffff", MASK - 1),
        ("10 e58e26", 624485),  # constu
        ("11 7f", MASK),  # consts -1
        ("32 12 22", 4),  # dup, plus
        ("32 33 13", 2),  # drop
        ("32 33 14", 2),  # over
        ("32 33 34 1502", 2),  # pick
        ("32 33 16 1c", 1),  # swap, minus
        ("31 32 33 17", 2),  # rot: the second becomes the top
        ("0a0010 06", MEMORY[0x1000]),  # deref
        ("0a0010 9402", 0x7788),  # deref_size
        ("09fb 19", 5),  # abs
        ("3c 3a 1a", 8),  # and
        ("09f9 32 1b", MASK - 2),  # div: -7 / 2 is -3, towards zero
        ("3b 33 1d", 2),  # mod
        ("33 34 1e", 12),  # mul
        ("31 1f", MASK),  # neg
        ("30 20", MASK),  # not
        ("38 33 21", 11),  # or
        ("33 2305", 8),  # plus_uconst
        ("31 34 24", 16),  # shl
        ("31 0840 24", 0),  # shl by 64
        ("09f0 34 25", MASK >> 4),  # shr
        ("09f0 34 26", MASK),  # shra
        ("3c 3a 27", 6),  # xor
        ("09ff 31 2d", 1),  # lt, signed
        ("09ff 31 2b", 0),  # gt
        ("31 31 2a", 1),  # ge
        ("31 31 29", 1),  # eq
        ("31 31 2e", 0),  # ne
        ("31 31 2c", 1),  # le
        ("31 280100 35 36", 6),  # bra over one operation
        ("30 280100 35", 5),  # bra that is not taken
        ("2f0100 35 36 96", 6),  # skip, nop
        ("7708", 115),  # breg7 + 8
        ("9206 7f", 105),  # bregx 6 - 1
        # What ld writes for a .plt: rsp + 8 + ((rip & 15) >= 11) * 8.
        ("7708 8000 3f 1a 3b 2a 33 24 22", 107 + 8 + 8),
    ],
)
def test_operations(text: str, result: int) -> None:
    assert run(text) == result


def test_what_is_on_the_stack_at_first_is_used() -> None:
    assert run("2308", 0x2000) == 0x2008
    assert run("", 7) == 7


@pytest.mark.parametrize(
    "text",
    [
        "",  # no result
        "22",  # no operands
        "31 30 1b",  # division by zero
        "31 30 1d",
        "9b",  # form_tls_address, which may not occur
        "50",  # reg0, which is no value
        "9c",  # call_frame_cfa
        "0a",  # cut off
        "2f00f0",  # skip out of it
        "a0",  # implicit pointer
        "0a0020 06",  # memory that is not known
        "32 9409",  # nine bytes
        "9211 00",  # a register that there is not
    ],
)
def test_what_cannot_be_evaluated_is_refused(text: str) -> None:
    with pytest.raises((IndexError, ValueError, ZeroDivisionError)):
        run(text)
