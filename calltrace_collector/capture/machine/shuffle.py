"""Instructions that pick parts of xmm registers by a number: shuffles, shifts of a register, pinsr, pextr."""

from __future__ import annotations

from collections.abc import Callable

from iced_x86 import Instruction, Mnemonic

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Value
from calltrace_collector.capture.machine.flags import Builder
from calltrace_collector.capture.machine.operands import (
    Effect,
    NotModelledError,
    is_memory,
    reader,
    writer,
    xmm_place,
)
from calltrace_collector.capture.machine.state import State
from calltrace_collector.capture.machine.vector import Halves, dwords, halves, pair, vector_operands


def _number(instruction: Instruction) -> int:
    return int(instruction.immediate(instruction.op_count - 1)) & 0xFF


def _of_one(operation: Callable[[Halves, int], Halves]) -> Builder:
    """Makes the builder of an instruction that makes a register of one operand and a number."""

    def build(instruction: Instruction) -> Effect:
        read, place, number = halves(instruction, 1), xmm_place(instruction, 0), _number(instruction)

        def effect(state: State) -> None:
            state.xmm[place], state.xmm[place + 1] = operation(read(state), number)

        return effect

    return build


def _of_two(operation: Callable[[Halves, Halves, int], Halves]) -> Builder:
    """Makes the builder of an instruction that makes a register of two operands and a number."""

    def build(instruction: Instruction) -> Effect:
        first, second = vector_operands(instruction)
        a, b = halves(instruction, first), halves(instruction, second)
        place, number = xmm_place(instruction, 0), _number(instruction)

        def effect(state: State) -> None:
            state.xmm[place], state.xmm[place + 1] = operation(a(state), b(state), number)

        return effect

    return build


def _shift(operation: Callable[[Halves, int], Halves]) -> Builder:
    """Makes the builder of a shift by a number; its one operand is the register, or with AVX another."""

    def build(instruction: Instruction) -> Effect:
        if instruction.op_count == 2:
            source = 0
        elif instruction.op_count == 3:
            source = 1
        else:
            raise NotModelledError
        if is_memory(instruction, instruction.op_count - 1) or instruction.op_register(
            instruction.op_count - 1
        ):
            raise NotModelledError  # by a count in memory or a register
        read, place, number = halves(instruction, source), xmm_place(instruction, 0), _number(instruction)

        def effect(state: State) -> None:
            state.xmm[place], state.xmm[place + 1] = operation(read(state), number)

        return effect

    return build


def _shuffled_dwords(value: Halves, number: int) -> Halves:
    parts = dwords(value)
    picked = [parts[number >> shift & 3] for shift in (0, 2, 4, 6)]
    return pair(picked[0], picked[1]), pair(picked[2], picked[3])


def _shuffled_two(a: Halves, b: Halves, number: int) -> Halves:
    from_a, from_b = dwords(a), dwords(b)
    low = pair(from_a[number & 3], from_a[number >> 2 & 3])
    return low, pair(from_b[number >> 4 & 3], from_b[number >> 6 & 3])


def _bytes_right(value: Halves, number: int) -> Halves:
    low, high = value
    if number >= 16:
        return ex.ZERO, ex.ZERO
    if number >= 8:
        return ex.binary(">>", high, ex.const(8 * (number - 8))), ex.ZERO
    if number == 0:
        return value
    upper = ex.binary("<<", high, ex.const(64 - 8 * number))
    return ex.binary("|", ex.binary(">>", low, ex.const(8 * number)), upper), ex.binary(
        ">>", high, ex.const(8 * number)
    )


def _bytes_left(value: Halves, number: int) -> Halves:
    low, high = value
    if number >= 16:
        return ex.ZERO, ex.ZERO
    if number >= 8:
        return ex.ZERO, ex.binary("<<", low, ex.const(8 * (number - 8)))
    if number == 0:
        return value
    upper = ex.binary(
        "|", ex.binary("<<", high, ex.const(8 * number)), ex.binary(">>", low, ex.const(64 - 8 * number))
    )
    return ex.binary("<<", low, ex.const(8 * number)), upper


def _bits(operator: str) -> Callable[[Halves, int], Halves]:
    def operation(value: Halves, number: int) -> Halves:
        if number > 63:
            return ex.ZERO, ex.ZERO
        return ex.binary(operator, value[0], ex.const(number)), ex.binary(
            operator, value[1], ex.const(number)
        )

    return operation


def _duplicate(instruction: Instruction) -> Effect:
    """Of movddup: both halves become the lower one."""
    place = xmm_place(instruction, 0)
    read: Callable[[State], Value]
    if is_memory(instruction, 1):
        read = reader(instruction, 1)
    else:
        source = xmm_place(instruction, 1)
        read = lambda state: state.xmm[source]  # noqa: E731 - one of two ways to read

    def effect(state: State) -> None:
        state.xmm[place] = state.xmm[place + 1] = read(state)

    return effect


def _put(size: int) -> Builder:
    """Makes the builder of pinsrd and pinsrq."""

    def build(instruction: Instruction) -> Effect:
        first, second = vector_operands(instruction)
        old, read, place = halves(instruction, first), reader(instruction, second), xmm_place(instruction, 0)
        number = _number(instruction) & (16 // size - 1)

        def effect(state: State) -> None:
            value = old(state)
            if size == 8:
                parts = list(value)
                parts[number] = read(state)
            else:
                quarters = dwords(value)
                quarters[number] = read(state)
                parts = list(value)
                half = number // 2
                parts[half] = pair(quarters[2 * half], quarters[2 * half + 1])
            state.xmm[place : place + 2] = parts

        return effect

    return build


def _take(size: int) -> Builder:
    """Makes the builder of pextrd and pextrq."""

    def build(instruction: Instruction) -> Effect:
        read, write = halves(instruction, 1), writer(instruction, 0)
        number = _number(instruction) & (16 // size - 1)

        def effect(state: State) -> None:
            value = read(state)
            write(state, value[number] if size == 8 else dwords(value)[number])

        return effect

    return build


_SHUFFLE_DWORDS = _of_one(_shuffled_dwords)

_BUILDERS: dict[str, Builder] = {
    "PSHUFD": _SHUFFLE_DWORDS,
    "SHUFPS": _of_two(_shuffled_two),
    "SHUFPD": _of_two(lambda a, b, number: (a[number & 1], b[number >> 1 & 1])),
    "PSRLDQ": _shift(_bytes_right),
    "PSLLDQ": _shift(_bytes_left),
    "PSRLQ": _shift(_bits(">>")),
    "PSLLQ": _shift(_bits("<<")),
    "MOVDDUP": _duplicate,
    "PINSRD": _put(4),
    "PINSRQ": _put(8),
    "PEXTRD": _take(4),
    "PEXTRQ": _take(8),
}

BUILDERS: dict[int, Builder] = {
    getattr(Mnemonic, prefix + name): build for name, build in _BUILDERS.items() for prefix in ("", "V")
}
BUILDERS[Mnemonic.VPERMILPS] = _SHUFFLE_DWORDS
BUILDERS[Mnemonic.VPERMILPD] = _of_one(lambda value, number: (value[number & 1], value[number >> 1 & 1]))
