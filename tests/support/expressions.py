"""What an expression of the symbolic machine is worth, given registers and memory."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from calltrace_collector.capture.machine.expression import BINARY, Expression

MASK = (1 << 64) - 1

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
}


class Evaluator:
    """Evaluates over the atoms of a hook or of an entry.

    Args:
        atoms: by ("reg", 0), ("in", 0), ("xmm", 0, 1), ("xin", 0, 1) and so on.
        read: memory.
        load_bias: what is added to offsets in the image.
    """

    def __init__(
        self, atoms: dict[Expression, int], read: Callable[[int, int], bytes], load_bias: int = 0
    ) -> None:
        self._atoms = atoms
        self._read = read
        self._load_bias = load_bias

    def __call__(self, e: Expression) -> int:
        """Returns the value: 64 bits."""
        return self._value(e) & MASK

    def _value(self, e: Expression) -> int:
        kind = e[0]
        if kind in ("reg", "xmm", "in", "xin"):
            return self._atoms[e]
        if kind == "const":
            return int(e[1])
        if kind == "image":
            return int(e[1]) + self._load_bias
        if kind == "load":
            return int.from_bytes(self._read(self(e[1]), e[2]), "little")
        if kind in BINARY:
            return BINARY[kind](self(e[1]), self(e[2]))
        if kind == "fp":
            return _floating(e[1], *(self(operand) for operand in e[2:]))
        return self._other(e)

    def _other(self, e: Expression) -> int:
        kind = e[0]
        if kind == "not":
            return ~self(e[1])
        if kind == "neg":
            return -self(e[1])
        if kind == "select":
            return self(e[2]) if self(e[1]) else self(e[3])
        size: int = e[1]
        low: int = (1 << 8 * size) - 1
        if kind == "zero":
            return self(e[2]) & low
        if kind == "sign":
            return int.from_bytes((self(e[2]) & low).to_bytes(size, "little"), "little", signed=True)
        if kind == "insert":
            return self(e[2]) & ~low | self(e[3]) & low
        raise AssertionError(f"no such expression: {e}")


def _floating(name: str, a: int, b: int = 0) -> int:
    operation, _, tail = name.rpartition("_")
    with np.errstate(all="ignore"):
        if operation in _ARITHMETIC:
            return _from_float(tail, _ARITHMETIC[operation](_to_float(tail, a), _to_float(tail, b)))
        source = operation.removesuffix("_to")
        if source in ("d", "f") and tail in ("d", "f"):
            return _from_float(tail, (np.float64 if tail == "d" else np.float32)(_to_float(source, a)))
        if tail in ("d", "f"):
            bits = int(source[1:])
            number = int.from_bytes(
                (a & ((1 << bits) - 1)).to_bytes(8, "little")[: bits // 8], "little", signed=True
            )
            return _from_float(tail, (np.float64 if tail == "d" else np.float32)(number))
    return _to_integer(float(_to_float(source, a)), int(tail[1:]))


def _to_integer(number: float, bits: int) -> int:
    if math.isnan(number) or math.isinf(number) or not -(1 << bits - 1) <= int(number) < 1 << bits - 1:
        return 1 << bits - 1
    return int(number) & ((1 << bits) - 1)


def _to_float(kind: str, bits: int) -> Any:
    if kind == "d":
        return np.float64(struct.unpack("<d", struct.pack("<Q", bits))[0])
    return np.frombuffer(struct.pack("<I", bits & 0xFFFFFFFF), np.float32)[0]


def _from_float(kind: str, number: Any) -> int:
    return int.from_bytes((np.float64 if kind == "d" else np.float32)(number).tobytes(), "little")
