"""DWARF expressions, as call frame information uses them.

Format: DWARF 5, sections 2.5.1 and 6.4.2 (operations that may not occur there are refused).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

from calltrace_collector.symbols.leb128 import signed, unsigned

_MAX_STEPS = 10_000
_MAX_DEPTH = 256
_MASK = (1 << 64) - 1

Read = Callable[[int, int], int]
"""Reads a number of so many bytes at an address; raises ValueError where it cannot."""


def evaluate(
    expression: bytes, registers: Sequence[int | None], read: Read, load_bias: int, first: int | None = None
) -> int:
    """Evaluates an expression.

    Args:
        expression: operations.
        registers: values by DWARF number, None where unknown.
        read: reads memory.
        load_bias: what the addresses in the expression are to be moved by.
        first: what is on the stack at the beginning.

    Returns:
        The number on top of the stack, of 64 bits.

    Raises:
        IndexError, ValueError, ZeroDivisionError: the expression is damaged, takes too long, or needs what
            is not known.
    """
    machine = _Machine(expression, registers, read, load_bias)
    if first is not None:
        machine.stack.append(first)
    for _ in range(_MAX_STEPS):
        if machine.position == len(expression):
            return machine.stack[-1]
        machine.step()
        if len(machine.stack) > _MAX_DEPTH:
            raise ValueError("an expression needs too large a stack")
    raise ValueError("an expression does not end")


class _Machine:
    def __init__(self, code: bytes, registers: Sequence[int | None], read: Read, load_bias: int) -> None:
        self.stack: list[int] = []
        self.position = 0
        self._code = code
        self._registers = registers
        self._read = read
        self._load_bias = load_bias

    def step(self) -> None:
        """Executes one operation."""
        code, self.position = self._code[self.position], self.position + 1
        if 0x30 <= code <= 0x4F:  # DW_OP_lit0 to lit31
            self._push(code - 0x30)
        elif 0x70 <= code <= 0x8F:  # DW_OP_breg0 to breg31
            self._push(self._register(code - 0x70) + self._signed())
        elif code in _CONSTANT_SIZES:
            size, is_signed = _CONSTANT_SIZES[code]
            self._push(int.from_bytes(self._bytes(size), "little", signed=is_signed))
        elif code in _BINARY:
            second, first = self.stack.pop(), self.stack.pop()
            self._push(_BINARY[code](first, second))
        elif code in _UNARY:
            self._push(_UNARY[code](self.stack.pop()))
        elif code in (0x28, 0x2F):  # DW_OP_bra, skip
            distance = int.from_bytes(self._bytes(2), "little", signed=True)
            if code == 0x2F or self.stack.pop():
                self._jump(distance)
        elif code in (0x06, 0x94):  # DW_OP_deref, deref_size
            size = 8 if code == 0x06 else self._bytes(1)[0]
            if not 1 <= size <= 8:
                raise ValueError(f"an expression reads a number of {size} bytes")
            self._push(self._read(self.stack.pop(), size))
        elif code == 0x92:  # DW_OP_bregx
            self._push(self._register(self._unsigned()) + self._signed())
        else:
            self._arrange(code)

    def _arrange(self, code: int) -> None:
        """Executes an operation that moves things, or one with a number of variable length."""
        stack = self.stack
        if code == 0x03:  # DW_OP_addr
            self._push(int.from_bytes(self._bytes(8), "little") + self._load_bias)
        elif code == 0x10:  # DW_OP_constu
            self._push(self._unsigned())
        elif code == 0x11:  # DW_OP_consts
            self._push(self._signed())
        elif code == 0x12:  # DW_OP_dup
            stack.append(stack[-1])
        elif code == 0x13:  # DW_OP_drop
            stack.pop()
        elif code in (0x14, 0x15):  # DW_OP_over, pick
            index = 1 if code == 0x14 else self._bytes(1)[0]
            stack.append(stack[-1 - index])
        elif code == 0x16:  # DW_OP_swap
            stack[-1], stack[-2] = stack[-2], stack[-1]
        elif code == 0x17:  # DW_OP_rot
            stack[-1], stack[-2], stack[-3] = stack[-2], stack[-3], stack[-1]
        elif code == 0x23:  # DW_OP_plus_uconst
            self._push(stack.pop() + self._unsigned())
        elif code != 0x96:  # DW_OP_nop
            raise ValueError(f"operation {code:#x} of an expression is unknown")

    def _push(self, value: int) -> None:
        self.stack.append(value & _MASK)

    def _jump(self, distance: int) -> None:
        self.position += distance
        if not 0 <= self.position <= len(self._code):
            raise ValueError("an expression jumps out of itself")

    def _register(self, number: int) -> int:
        value = self._registers[number] if number < len(self._registers) else None
        if value is None:
            raise ValueError(f"register {number}, which an expression uses, is not known")
        return value

    def _bytes(self, size: int) -> bytes:
        start, self.position = self.position, self.position + size
        if self.position > len(self._code):
            raise IndexError("an expression is cut off")
        return self._code[start : self.position]

    def _unsigned(self) -> int:
        value, self.position = unsigned(self._code, self.position)
        return value

    def _signed(self) -> int:
        value, self.position = signed(self._code, self.position)
        return value


def _as_signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _divide(first: int, second: int) -> int:
    """Divides towards zero, as processors do."""
    dividend, divisor = _as_signed(first), _as_signed(second)
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def _compare(relation: Callable[[int, int], bool]) -> Callable[[int, int], int]:
    return lambda first, second: int(relation(_as_signed(first), _as_signed(second)))


# What is pushed is cut to 64 bits; shifts by more give what is left of it.
_BINARY: dict[int, Callable[[int, int], int]] = {
    0x1A: operator.and_,
    0x1B: _divide,
    0x1C: operator.sub,
    0x1D: operator.mod,
    0x1E: operator.mul,
    0x21: operator.or_,
    0x22: operator.add,
    0x24: lambda first, second: first << min(second, 64),
    0x25: lambda first, second: first >> min(second, 64),
    0x26: lambda first, second: _as_signed(first) >> min(second, 64),
    0x27: operator.xor,
    0x29: _compare(operator.eq),
    0x2A: _compare(operator.ge),
    0x2B: _compare(operator.gt),
    0x2C: _compare(operator.le),
    0x2D: _compare(operator.lt),
    0x2E: _compare(operator.ne),
}
_UNARY: dict[int, Callable[[int], int]] = {
    0x19: lambda value: abs(_as_signed(value)),
    0x1F: operator.neg,
    0x20: operator.invert,
}
_CONSTANT_SIZES = {  # DW_OP_const1u to const8s: bytes, and whether there may be a sign
    0x08 + 2 * index + is_signed: (1 << index, bool(is_signed)) for index in range(4) for is_signed in (0, 1)
}
