"""Integer arithmetic: add to sbb, logic, shifts, multiplication, single bits."""

from __future__ import annotations

from iced_x86 import Instruction, Mnemonic, OpKind

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Value
from calltrace_collector.capture.machine.flags import Builder, carry
from calltrace_collector.capture.machine.operands import (
    Effect,
    NotModelledError,
    is_memory,
    operand_size,
    reader,
    writer,
)
from calltrace_collector.capture.machine.registers import RAX, RDX
from calltrace_collector.capture.machine.state import State


def _same_register(instruction: Instruction) -> bool:
    return not is_memory(instruction, 0) and instruction.op_register(0) == instruction.op_register(1)


def _add(instruction: Instruction) -> Effect:
    a, b, write = reader(instruction, 0), reader(instruction, 1), writer(instruction, 0)
    size = operand_size(instruction, 0)

    def effect(state: State) -> None:
        before = a(state)
        result = ex.zero(size, ex.add(before, b(state)))
        state.flags = ("add", result, before, size)
        write(state, result)

    return effect


def _subtract(instruction: Instruction) -> Effect:
    a, b, write = reader(instruction, 0), reader(instruction, 1), writer(instruction, 0)
    size = operand_size(instruction, 0)
    nothing = _same_register(instruction)

    def effect(state: State) -> None:
        left, right = (ex.ZERO, ex.ZERO) if nothing else (a(state), b(state))
        state.flags = ("sub", left, right, size)
        write(state, ex.subtract(left, right))

    return effect


def _and(instruction: Instruction) -> Effect:
    size = operand_size(instruction, 0)
    if size != 1 or instruction.op1_kind != OpKind.IMMEDIATE8 or instruction.immediate8 != 0xFF:
        return _logic("&")(instruction)
    read = reader(instruction, 0)

    def effect(state: State) -> None:
        # gcc does so to the second byte of a register, of which it keeps all.
        state.flags = ("logic", read(state), None, size)

    return effect


def _logic(operator: str) -> Builder:
    def build(instruction: Instruction) -> Effect:
        a, b, write = reader(instruction, 0), reader(instruction, 1), writer(instruction, 0)
        size = operand_size(instruction, 0)
        nothing = operator == "^" and _same_register(instruction)

        def effect(state: State) -> None:
            result: Value = ex.ZERO if nothing else ex.binary(operator, a(state), b(state))
            state.flags = ("logic", result, None, size)
            write(state, result)

        return effect

    return build


def _with_carry(operator: str) -> Builder:
    """Makes the builder of adc and sbb."""

    def build(instruction: Instruction) -> Effect:
        a, b, write = reader(instruction, 0), reader(instruction, 1), writer(instruction, 0)
        nothing = operator == "-" and _same_register(instruction)

        def effect(state: State) -> None:
            value = ex.ZERO if nothing else ex.binary(operator, a(state), b(state))
            result = ex.binary(operator, value, carry(state))
            state.flags = None
            write(state, result)

        return effect

    return build


def _step(distance: int) -> Builder:
    """Makes the builder of inc and dec, which keep the carry."""

    def build(instruction: Instruction) -> Effect:
        read, write, size = reader(instruction, 0), writer(instruction, 0), operand_size(instruction, 0)

        def effect(state: State) -> None:
            result = ex.zero(size, ex.add(read(state), ex.const(distance)))
            state.flags = ("result", result, None, size)
            write(state, result)

        return effect

    return build


def _negate(instruction: Instruction) -> Effect:
    read, write, size = reader(instruction, 0), writer(instruction, 0), operand_size(instruction, 0)

    def effect(state: State) -> None:
        value = read(state)
        state.flags = ("sub", ex.ZERO, value, size)
        write(state, ex.negate(value))

    return effect


def _complement(instruction: Instruction) -> Effect:
    read, write = reader(instruction, 0), writer(instruction, 0)
    return lambda state: write(state, ex.complement(read(state)))


def _shift(operator: str) -> Builder:
    def build(instruction: Instruction) -> Effect:
        a, b, write = reader(instruction, 0), reader(instruction, 1), writer(instruction, 0)
        size = operand_size(instruction, 0)
        mask = ex.const(63 if size == 8 else 31)

        def effect(state: State) -> None:
            value, count = a(state), ex.binary("&", b(state), mask)
            if operator == "s>>":
                value = ex.sign(size, value)
            result = ex.zero(size, ex.binary(operator, value, count))
            if count is None or count[0] != "const":
                state.flags = None  # as before, if the count is 0
            elif count[1]:
                state.flags = ("result", result, None, size)
            write(state, result)

        return effect

    return build


def _rotate(left: bool) -> Builder:
    def build(instruction: Instruction) -> Effect:
        a, b, write = reader(instruction, 0), reader(instruction, 1), writer(instruction, 0)
        bits = 8 * operand_size(instruction, 0)

        def effect(state: State) -> None:
            value, count = a(state), b(state)
            state.flags = None
            if count is None or count[0] != "const":
                write(state, None)
                return
            places = (count[1] & (63 if bits == 64 else 31)) % bits
            places = places if left else -places % bits
            upper = ex.binary("<<", value, ex.const(places))
            write(
                state,
                ex.binary("|", upper, ex.binary(">>", value, ex.const(bits - places))) if places else value,
            )

        return effect

    return build


def _multiply(instruction: Instruction) -> Effect:
    """Of imul with two or three operands; what it leaves in the flags is of no use."""
    if instruction.op_count == 1:
        return _multiply_accumulator(instruction)
    last = instruction.op_count - 1
    a, b, write = reader(instruction, last - 1), reader(instruction, last), writer(instruction, 0)

    def effect(state: State) -> None:
        state.flags = None
        write(state, ex.binary("*", a(state), b(state)))

    return effect


def _multiply_accumulator(instruction: Instruction) -> Effect:
    size = operand_size(instruction, 0)
    if size < 4:
        raise NotModelledError
    extend = ex.sign if instruction.mnemonic == Mnemonic.IMUL else ex.zero
    read = reader(instruction, 0)

    def effect(state: State) -> None:
        product = ex.binary("*", extend(size, state.general[RAX]), extend(size, read(state)))
        state.flags = None
        state.general[RAX] = ex.zero(size, product)
        upper = ex.binary(">>", product, ex.const(32)) if size == 4 else None
        state.general[RDX] = upper

    return effect


def _bit(operator: str) -> Builder:
    """Makes the builder of bt, bts, btr, btc of a register."""

    def build(instruction: Instruction) -> Effect:
        if is_memory(instruction, 0):
            raise NotModelledError
        a, b, write = reader(instruction, 0), reader(instruction, 1), writer(instruction, 0)
        places = ex.const(8 * operand_size(instruction, 0) - 1)

        def effect(state: State) -> None:
            value, place = a(state), ex.binary("&", b(state), places)
            state.flags = ("carry", ex.binary("&", ex.binary(">>", value, place), ex.const(1)), None, 1)
            if operator:
                bit = ex.binary("<<", ex.const(1), place)
                write(state, ex.binary(operator, value, ex.complement(bit) if operator == "&" else bit))

        return effect

    return build


def _shift_without_flags(operator: str) -> Builder:
    """Makes the builder of shlx, shrx, sarx."""

    def build(instruction: Instruction) -> Effect:
        a, b, write = reader(instruction, 1), reader(instruction, 2), writer(instruction, 0)
        size = operand_size(instruction, 0)
        mask = ex.const(63 if size == 8 else 31)

        def effect(state: State) -> None:
            value = ex.sign(size, a(state)) if operator == "s>>" else a(state)
            write(state, ex.binary(operator, value, ex.binary("&", b(state), mask)))

        return effect

    return build


def _and_not(instruction: Instruction) -> Effect:
    a, b, write = reader(instruction, 1), reader(instruction, 2), writer(instruction, 0)
    size = operand_size(instruction, 0)

    def effect(state: State) -> None:
        result = ex.binary("&", ex.zero(size, ex.complement(a(state))), b(state))
        state.flags = ("logic", result, None, size)
        write(state, result)

    return effect


BUILDERS: dict[int, Builder] = {
    Mnemonic.ADD: _add,
    Mnemonic.SUB: _subtract,
    Mnemonic.AND: _and,
    Mnemonic.OR: _logic("|"),
    Mnemonic.XOR: _logic("^"),
    Mnemonic.ADC: _with_carry("+"),
    Mnemonic.SBB: _with_carry("-"),
    Mnemonic.INC: _step(1),
    Mnemonic.DEC: _step(-1),
    Mnemonic.NEG: _negate,
    Mnemonic.NOT: _complement,
    Mnemonic.SHL: _shift("<<"),
    Mnemonic.SAL: _shift("<<"),
    Mnemonic.SHR: _shift(">>"),
    Mnemonic.SAR: _shift("s>>"),
    Mnemonic.ROL: _rotate(True),
    Mnemonic.ROR: _rotate(False),
    Mnemonic.IMUL: _multiply,
    Mnemonic.MUL: _multiply_accumulator,
    Mnemonic.BT: _bit(""),
    Mnemonic.BTS: _bit("|"),
    Mnemonic.BTR: _bit("&"),
    Mnemonic.BTC: _bit("^"),
    Mnemonic.SHLX: _shift_without_flags("<<"),
    Mnemonic.SHRX: _shift_without_flags(">>"),
    Mnemonic.SARX: _shift_without_flags("s>>"),
    Mnemonic.ANDN: _and_not,
}
