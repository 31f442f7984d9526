"""Programs: the agent's numbers, and what they compute, by an interpreter written from the header alone."""

import re
import struct
from random import Random

import pytest

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import BINARY, Expression
from calltrace_collector.capture.plan import program
from calltrace_collector.capture.plan.program import Instruction, ItemKind
from tests.support.capture_twin import MASK, Scene, run
from tests.support.compile import ROOT

HEADER = (ROOT / "agent/record/capture_program.h").read_text()


def enumerators(name: str) -> list[str]:
    """The names of an enum of the agent's header, in order."""
    body = re.search(rf"enum {name} {{(.*?)}};", HEADER, re.DOTALL)
    assert body is not None
    return re.findall(r"^\s*([A-Z]\w+)", re.sub(r"/\*.*?\*/", "", body[1], flags=re.DOTALL), re.MULTILINE)


def constant(name: str) -> int:
    value = re.search(rf"#define {name} (\d+)", HEADER)
    assert value is not None
    return int(value[1])


def test_instructions_have_the_agents_numbers() -> None:
    assert [f"OP_{one.name}" for one in Instruction] == enumerators("capture_op")[:-1]
    assert [one.value for one in Instruction] == list(range(len(Instruction)))


def test_items_have_the_agents_numbers() -> None:
    assert [f"ITEM_{one.name}" for one in ItemKind] == enumerators("capture_item")
    assert [one.value for one in ItemKind] == list(range(1, len(ItemKind) + 1))


def test_limits_are_the_agents() -> None:
    assert constant("CAPTURE_MEMORY_BYTES") == program.MEMORY_BYTES
    assert constant("CAPTURE_DEPTH") == program.DEPTH
    assert constant("CAPTURE_PROGRAM_BYTES") == program.PROGRAM_BYTES


SCENE = Scene(
    registers=[Random(number).getrandbits(64) for number in range(16)],
    xmm=[Random(100 + number).getrandbits(64) for number in range(16)],
    load_bias=0x5555_0000_0000,
    memory={0x1000 + place: Random(place).getrandbits(8) for place in range(64)},
)


def random_expression(random: Random, depth: int) -> tuple[Expression, int]:
    """An expression, and its value, computed by expression.BINARY and Python's own arithmetic."""
    kind = random.choice(["leaf", "leaf", "binary", "binary", "unary", "extend", "load", "insert", "select"])
    if depth == 0 or kind == "leaf":
        number = random.randrange(16)
        bits = random.getrandbits(random.choice([3, 7, 8, 31, 32, 63, 64]))
        return random.choice(
            [
                (("reg", number), SCENE.registers[number]),
                (("xmm", number // 2, number % 2), SCENE.xmm[number]),
                (("const", bits), bits),
                (("image", 0x1234), SCENE.load_bias + 0x1234),
            ]
        )
    a, value_a = random_expression(random, depth - 1)
    b, value_b = random_expression(random, depth - 1)
    c, value_c = random_expression(random, depth - 1)
    size = random.choice([1, 2, 4])
    low = (1 << 8 * size) - 1
    if kind == "binary":
        operator = random.choice(list(BINARY))
        return (operator, a, b), int(BINARY[operator](value_a, value_b)) & MASK
    if kind == "unary":
        return random.choice([(("not", a), value_a ^ MASK), (("neg", a), -value_a & MASK)])
    if kind == "extend":
        return random.choice(
            [
                (("zero", size, a), value_a & low),
                (("sign", size, a), ex.signed(value_a, size) & MASK),
            ]
        )
    if kind == "load":
        place = random.randrange(56)
        loaded = bytes(SCENE.memory[0x1000 + place + byte] for byte in range(size))
        return ("load", ("const", 0x1000 + place), size), int.from_bytes(loaded, "little")
    if kind == "insert":
        return ("insert", size, a, b), value_a & ~low | value_b & low
    return ("select", c, a, b), value_a if value_c else value_b


@pytest.mark.parametrize("seed", range(200))
def test_a_program_computes_its_expression(seed: int) -> None:
    expression, value = random_expression(Random(seed), 4)
    code = program.value_item(8, [expression])
    assert run(code, SCENE) == b"\0" + value.to_bytes(8, "little")


@pytest.mark.parametrize(
    ("name", "operands", "result"),
    [
        ("add_d", (1.5, 2.25), 3.75),
        ("subtract_d", (1.5, 2.25), -0.75),
        ("multiply_d", (1.5, -2.0), -3.0),
        ("divide_d", (1.0, 4.0), 0.25),
    ],
)
def test_floating_point_takes_its_operands_in_order(
    name: str, operands: tuple[float, float], result: float
) -> None:
    a, b = (ex.const(int.from_bytes(struct.pack("<d", one), "little")) for one in operands)
    assert run(program.value_item(8, [("fp", name, a, b)]), SCENE)[1:] == struct.pack("<d", result)


def test_numbers_are_converted() -> None:
    minus_three = ex.const(-3)
    as_double = ("fp", "i32_to_d", ("zero", 4, minus_three))
    assert run(program.value_item(8, [as_double]), SCENE)[1:] == struct.pack("<d", -3.0)
    assert run(program.value_item(4, [("fp", "d_to_i32", as_double)]), SCENE)[1:] == struct.pack("<i", -3)


@pytest.mark.parametrize("size", [1, 3, 4, 7, 8])
def test_extensions_beyond_the_values_size_are_left_out(size: int) -> None:
    plain = program.value_item(size, [("reg", 3)])
    for extending in ("zero", "sign"):
        for kept in (1, 2, 4):
            code = program.value_item(size, [(extending, kept, ("reg", 3))])
            assert (code == plain) == (kept >= size)
            value = SCENE.registers[3] & ((1 << 8 * kept) - 1)
            whole = value if extending == "zero" else ex.signed(value, kept)
            assert run(code, SCENE)[1:] == (whole & MASK).to_bytes(8, "little")[:size]


def test_items_leave_memory_and_text() -> None:
    scene = Scene(memory=dict(enumerate(b"hello\0", start=0x2000)), text_limit=4)
    address = ex.const(0x2000)
    assert run(program.memory_item(3, address), scene) == b"\0hel"
    assert run(program.text_item(ex.const(0x2002)), scene) == b"\0\x03\0llo"
    assert run(program.text_item(address), scene) == b"\x01\x04\0hell"
    assert run(program.string_item(address, ex.const(2)), scene) == b"\0\x02\0he"
    assert run(program.string_item(ex.ZERO, ex.const(2)), scene) == b"\x02"
    assert run(program.memory_item(9, address), scene) == b"\x03"


def nested(depth: int) -> Expression:
    expression: Expression = ("reg", 0)
    for _ in range(depth - 1):
        expression = ("+", ("reg", 1), expression)
    return expression


def test_what_needs_more_than_the_agents_stack_is_refused() -> None:
    program.value_item(8, [nested(program.DEPTH)])
    with pytest.raises(program.TooLargeError):
        program.value_item(8, [nested(program.DEPTH + 1)])


@pytest.mark.parametrize(
    "expression",
    [
        ("reg", 16),
        ("xmm", 8, 0),
        ("load", ("reg", 0), 3),
        ("not", ("zero", 8, ("reg", 0))),
        ("unknown",),
        ("in", 5),
    ],
)
def test_what_no_agent_understands_is_not_assembled(expression: Expression) -> None:
    with pytest.raises(ValueError, match=r"no agent|operand of"):
        program.value_item(8, [expression])


@pytest.mark.parametrize(("size", "words"), [(0, 0), (17, 3), (8, 2), (9, 1)])
def test_values_have_a_word_for_each_8_bytes(size: int, words: int) -> None:
    with pytest.raises(ValueError, match="bytes in"):
        program.value_item(size, [("reg", 0)] * words)
