"""What agents do with capture programs, in Python: an oracle, and a way to read programs.

Written from agent/record/capture_program.h alone.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from calltrace_collector.capture.plan.program import Instruction, ItemKind

__all__ = ["Scene", "disassembled", "run"]

MASK = (1 << 64) - 1
OK, CUT, NULL, UNREADABLE = range(4)

Read = Callable[[int, int], bytes | None]

_BINARY: dict[str, Callable[[int, int], int]] = {
    "ADD": lambda a, b: a + b,
    "SUBTRACT": lambda a, b: a - b,
    "MULTIPLY": lambda a, b: a * b,
    "AND": lambda a, b: a & b,
    "OR": lambda a, b: a | b,
    "XOR": lambda a, b: a ^ b,
    "SHIFT_LEFT": lambda a, b: a << b % 64,
    "SHIFT_RIGHT": lambda a, b: a >> b % 64,
    "SHIFT_SIGNED": lambda a, b: _signed(a, 8) >> b % 64,
    "EQUAL": lambda a, b: a == b,
    "NOT_EQUAL": lambda a, b: a != b,
    "LESS": lambda a, b: _signed(a, 8) < _signed(b, 8),
    "LESS_EQUAL": lambda a, b: _signed(a, 8) <= _signed(b, 8),
    "BELOW": lambda a, b: a < b,
    "BELOW_EQUAL": lambda a, b: a <= b,
}
_OPERANDS = {"REGISTER": "B", "XMM": "B", "CONST8": "b", "CONST32": "i", "CONST64": "q", "IMAGE": "q"}
_SIZED = ("LOAD", "ZERO", "SIGN", "INSERT")


class UnreadableError(Exception):
    """Memory that is not mapped."""


@dataclass
class Scene:
    """What there is when the hook is called.

    Attributes:
        registers: the general ones, by DWARF number.
        xmm: halves of the vector registers.
        load_bias: of the module.
        memory: bytes by their address; all else is not mapped.
        text_limit: bytes of a string.
    """

    registers: Sequence[int] = (0,) * 16
    xmm: Sequence[int] = (0,) * 16
    load_bias: int = 0
    memory: dict[int, int] = field(default_factory=dict)
    text_limit: int = 64

    def read(self, address: int, size: int) -> bytes:
        """Returns bytes of memory."""
        try:
            return bytes(self.memory[address + place] for place in range(size))
        except KeyError:
            raise UnreadableError from None


def run(program: bytes, scene: Scene) -> bytes:
    """Returns what the program leaves, but for the layout's number."""
    left = b""
    for kind, size, expressions in _items(program):
        try:
            left += _item(kind, size, [_evaluate(each, scene) for each in expressions], scene)
        except UnreadableError:
            left += bytes((UNREADABLE,))
    return left


def disassembled(program: bytes) -> list[str]:
    """Returns what each item of a program computes, as reverse Polish text."""
    return [
        " ; ".join(" ".join(_written(*each) for each in expression) for expression in expressions)
        for _, _, expressions in _items(program)
    ]


def _item(kind: ItemKind, size: int, values: Sequence[int], scene: Scene) -> bytes:
    if kind is ItemKind.VALUE:
        return bytes((OK,)) + b"".join(value.to_bytes(8, "little") for value in values)[:size]
    if values[0] == 0:
        return bytes((NULL,))
    if kind is ItemKind.MEMORY:
        return bytes((OK,)) + scene.read(values[0], size)
    text = _text(values[0], scene) if kind is ItemKind.TEXT else None
    length = len(text) if text is not None else values[1]
    shown = min(length, scene.text_limit)
    content = text[:shown] if text is not None else scene.read(values[0], shown)
    return struct.pack("<BH", CUT if length > shown else OK, shown) + content


def _text(address: int, scene: Scene) -> bytes:
    text = b""
    while len(text) <= scene.text_limit and (byte := scene.read(address + len(text), 1)) != b"\0":
        text += byte
    return text


def _items(program: bytes) -> Iterator[tuple[ItemKind, int, list[list[tuple[str, int]]]]]:
    at = 0
    while at < len(program):
        kind, size, count = ItemKind(program[at]), 0, 1
        at += 1
        if kind is ItemKind.VALUE:
            size, at = program[at], at + 1
            count = (size + 7) // 8
        elif kind is ItemKind.MEMORY:
            size, at = int.from_bytes(program[at : at + 2], "little"), at + 2
        elif kind is ItemKind.STRING:
            count = 2
        expressions = []
        for _ in range(count):
            expression, at = _expression(program, at)
            expressions.append(expression)
        if kind is not ItemKind.FRAME:  # which leaves nothing
            yield kind, size, expressions


def _expression(program: bytes, at: int) -> tuple[list[tuple[str, int]], int]:
    found: list[tuple[str, int]] = []
    while (name := Instruction(program[at]).name) != "END":
        at += 1
        layout = _OPERANDS.get(name, "B" if name in _SIZED else "")
        operand = struct.unpack_from(f"<{layout}", program, at)[0] if layout else 0
        at += struct.calcsize(f"<{layout}")
        found.append((name, operand))
    return found, at + 1


def _written(name: str, operand: int) -> str:
    return f"{name.lower()}({operand:#x})" if name in _OPERANDS or name in _SIZED else name.lower()


def _evaluate(expression: Sequence[tuple[str, int]], scene: Scene) -> int:
    stack: list[int] = []
    for name, operand in expression:
        _step(name, operand, stack, scene)
    return stack[-1]


def _step(name: str, operand: int, stack: list[int], scene: Scene) -> None:
    pushed: dict[str, Callable[[], int]] = {
        "REGISTER": lambda: scene.registers[operand],
        "XMM": lambda: scene.xmm[operand],
        "IMAGE": lambda: scene.load_bias + operand,
    }
    if name in _OPERANDS:
        stack.append(pushed.get(name, lambda: operand)() & MASK)
    elif name in _BINARY:
        b, a = stack.pop(), stack.pop()
        stack.append(int(_BINARY[name](a, b)) & MASK)
    elif name == "SELECT":
        b, a, condition = stack.pop(), stack.pop(), stack.pop()
        stack.append(a if condition else b)
    elif name == "INSERT":
        b, a = stack.pop(), stack.pop()
        low = (1 << 8 * operand) - 1
        stack.append(a & ~low | b & low)
    elif name in _UNARY:
        stack.append(_UNARY[name](stack.pop(), operand, scene) & MASK)
    else:
        _floating(name, stack)


_UNARY: dict[str, Callable[[int, int, Scene], int]] = {
    "LOAD": lambda a, size, scene: int.from_bytes(scene.read(a, size), "little"),
    "ZERO": lambda a, size, _: a & ((1 << 8 * size) - 1),
    "SIGN": lambda a, size, _: _signed(a, size),
    "NOT": lambda a, _, __: ~a,
    "NEGATE": lambda a, _, __: -a,
}


def _signed(value: int, size: int) -> int:
    return int.from_bytes((value & ((1 << 8 * size) - 1)).to_bytes(size, "little"), "little", signed=True)


def _floating(name: str, stack: list[int]) -> None:
    """Computes as the processor does, but for what overflows or is no number."""
    operation, _, form = name.rpartition("_")
    if operation in ("ADD", "SUBTRACT", "MULTIPLY", "DIVIDE"):
        b, a = _number(stack.pop(), form), _number(stack.pop(), form)
        result = {"ADD": a + b, "SUBTRACT": a - b, "MULTIPLY": a * b}.get(operation)
        stack.append(_bits(a / b if result is None else result, form))
    else:
        source = operation.removesuffix("_TO")
        stack.append(_bits(_number(stack.pop(), source), form))


_FORMATS = {"D": ("<d", 8), "F": ("<f", 4), "I64": ("<q", 8), "I32": ("<i", 4)}


def _number(value: int, form: str) -> Any:
    layout, size = _FORMATS[form]
    return struct.unpack(layout, (value & ((1 << 8 * size) - 1)).to_bytes(size, "little"))[0]


def _bits(number: float, form: str) -> int:
    layout, _ = _FORMATS[form]
    packed = struct.pack(layout, number if form in "DF" else int(number))
    return int.from_bytes(packed, "little")
