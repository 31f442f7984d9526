"""Conditions: what the flags say of what set them last, and the instructions that ask.

State.flags is how they were set, two operands, and their size:

    "sub"     a - b, both zero-extended
    "logic"   a is the result; there is no carry and no overflow
    "add"     a is the result, b what was added to; there is no telling of overflow
    "result"  a is the result; nothing else is known
    "carry"   a is the carry, 0 or 1; nothing else is known
"""

from __future__ import annotations

from collections.abc import Callable

from iced_x86 import ConditionCode, Instruction, Mnemonic

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Value
from calltrace_collector.capture.machine.operands import Effect, operand_size, reader, writer
from calltrace_collector.capture.machine.state import Flags, State

CC = ConditionCode

Builder = Callable[[Instruction], Effect]

_SUB: dict[int, tuple[str, int]] = {
    CC.B: ("u<", 0),
    CC.BE: ("u<=", 0),
    CC.A: ("u<", 1),
    CC.AE: ("u<=", 1),
    CC.E: ("==", 0),
    CC.NE: ("!=", 0),
    CC.L: ("s<", 0),
    CC.LE: ("s<=", 0),
    CC.G: ("s<", 1),
    CC.GE: ("s<=", 1),
}
"""Of a difference: the comparison, and whether of b with a."""

_LOGIC_SIGNED: dict[int, str] = {CC.L: "s<", CC.LE: "s<=", CC.G: "s<=", CC.GE: "s<"}


def condition(state: State, code: int) -> Value:
    """Returns 1 if a condition (as in jcc, setcc, cmovcc) is met, else 0."""
    flags = state.flags
    if flags is None:
        return None
    kind, a, _, _ = flags
    if kind == "carry":
        return _of_carry(a, code)
    if kind == "sub":
        return _of_difference(flags, code)
    return _of_result(flags, code)


def _of_result(flags: Flags, code: int) -> Value:
    kind, result, before, size = flags
    if code in (CC.E, CC.NE):
        return ex.binary("==" if code == CC.E else "!=", result, ex.ZERO)
    if code in (CC.S, CC.NS):
        return _sign(result, size, code)
    if kind == "logic":
        return _of_logic(result, size, code)
    if kind == "add" and code in (CC.B, CC.AE):
        return _negated_if(code == CC.AE, ex.binary("u<", result, before))
    return None


def carry(state: State) -> Value:
    """Returns the carry flag: 1 or 0."""
    return condition(state, CC.B)


def _sign(result: Value, size: int, code: int) -> Value:
    return _negated_if(code == CC.NS, ex.binary("s<", ex.sign(size, result), ex.ZERO))


def _negated_if(negated: bool, comparison: Value) -> Value:
    return ex.binary("==", comparison, ex.ZERO) if negated else comparison


def _of_carry(value: Value, code: int) -> Value:
    if code == CC.B:
        return value
    return ex.binary("^", value, ex.const(1)) if code == CC.AE else None


def _of_difference(flags: Flags, code: int) -> Value:
    _, a, b, size = flags
    if code in _SUB:
        operator, swapped = _SUB[code]
        if operator.startswith("s"):
            a, b = ex.sign(size, a), ex.sign(size, b)
        return ex.binary(operator, b, a) if swapped else ex.binary(operator, a, b)
    if code in (CC.S, CC.NS):
        return _sign(ex.subtract(a, b), size, code)
    return None


def _of_logic(result: Value, size: int, code: int) -> Value:
    if code in (CC.B, CC.O):
        return ex.ZERO
    if code in (CC.AE, CC.NO):
        return ex.const(1)
    if code in (CC.BE, CC.A):
        return ex.binary("==" if code == CC.BE else "!=", result, ex.ZERO)
    operator = _LOGIC_SIGNED.get(code)
    if operator is None:
        return None
    comparison = ex.binary(operator, ex.sign(size, result), ex.ZERO)
    return _negated_if(code in (CC.G, CC.GE), comparison)


def _set_if(instruction: Instruction) -> Effect:
    code, write = instruction.condition_code, writer(instruction, 0)
    return lambda state: write(state, condition(state, code))


def _move_if(instruction: Instruction) -> Effect:
    code = instruction.condition_code
    old, new, write = reader(instruction, 0), reader(instruction, 1), writer(instruction, 0)
    return lambda state: write(state, ex.select(condition(state, code), new(state), old(state)))


def _compare(instruction: Instruction) -> Effect:
    a, b, size = reader(instruction, 0), reader(instruction, 1), operand_size(instruction, 0)

    def effect(state: State) -> None:
        state.flags = ("sub", a(state), b(state), size)

    return effect


def _test(instruction: Instruction) -> Effect:
    a, b, size = reader(instruction, 0), reader(instruction, 1), operand_size(instruction, 0)

    def effect(state: State) -> None:
        state.flags = ("logic", ex.binary("&", a(state), b(state)), None, size)

    return effect


def _unordered(_instruction: Instruction) -> Effect:
    """Of a comparison of floating-point numbers: there is no expression for its outcome."""

    def effect(state: State) -> None:
        state.flags = None

    return effect


_CONDITIONS = ("O", "NO", "B", "AE", "E", "NE", "BE", "A", "S", "NS", "P", "NP", "L", "GE", "LE", "G")

BUILDERS: dict[int, Builder] = {
    Mnemonic.CMP: _compare,
    Mnemonic.TEST: _test,
    **{getattr(Mnemonic, f"SET{name}"): _set_if for name in _CONDITIONS},
    **{getattr(Mnemonic, f"CMOV{name}"): _move_if for name in _CONDITIONS},
    **{
        getattr(Mnemonic, name): _unordered
        for name in ("UCOMISS", "UCOMISD", "COMISS", "COMISD", "VUCOMISS", "VUCOMISD", "VCOMISS", "VCOMISD")
    },
}
