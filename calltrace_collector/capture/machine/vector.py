"""Moves between xmm registers and memory, and what combines their bits (SSE, and AVX of 128 bits).

A register is two halves of 8 bytes; of one that AVX widens only these are followed.
"""

from __future__ import annotations

from collections.abc import Callable

from iced_x86 import Instruction, Mnemonic, OpKind

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Value
from calltrace_collector.capture.machine.flags import Builder
from calltrace_collector.capture.machine.operands import (
    YMM,
    Effect,
    NotModelledError,
    is_memory,
    is_xmm,
    memory_address,
    memory_size,
    reader,
    writer,
    xmm_place,
)
from calltrace_collector.capture.machine.state import State

Halves = tuple[Value, Value]
ReadHalves = Callable[[State], Halves]


def vector_operands(instruction: Instruction) -> tuple[int, int]:
    """Returns which operands are combined: the first two, or as AVX has it, the second and third."""
    numbers = [OpKind.IMMEDIATE8]
    count = sum(instruction.op_kind(index) not in numbers for index in range(instruction.op_count))
    if count not in (2, 3):
        raise NotModelledError
    return (0, 1) if count == 2 else (1, 2)


def halves(instruction: Instruction, index: int) -> ReadHalves:
    """Returns what reads an xmm register or 16 bytes of memory."""
    if is_memory(instruction, index):
        if memory_size(instruction) != 16:
            raise NotModelledError
        address = memory_address(instruction)

        def read(state: State) -> Halves:
            start = address(state)
            return state.load(start, 8), state.load(ex.add(start, ex.const(8)), 8)

        return read
    place = xmm_place(instruction, index)
    return lambda state: (state.xmm[place], state.xmm[place + 1])


def dwords(value: Halves) -> list[Value]:
    """Returns the four double words of a register."""
    return [part for half in value for part in (ex.zero(4, half), ex.binary(">>", half, ex.const(32)))]


def pair(low: Value, high: Value) -> Value:
    """Returns a half, of two double words."""
    if high is None:
        return ex.insert(4, None, low)
    return ex.binary("|", ex.zero(4, low), ex.binary("<<", high, ex.const(32)))


def combined(operation: Callable[[Halves, Halves], Halves]) -> Builder:
    """Makes the builder of an instruction that makes one register out of two operands."""

    def build(instruction: Instruction) -> Effect:
        first, second = vector_operands(instruction)
        a, b, place = halves(instruction, first), halves(instruction, second), xmm_place(instruction, 0)

        def effect(state: State) -> None:
            state.xmm[place], state.xmm[place + 1] = operation(a(state), b(state))

        return effect

    return build


def _move_whole(instruction: Instruction) -> Effect:
    registers = [instruction.op_register(index) for index in (0, 1) if not is_memory(instruction, index)]
    if any(register in YMM for register in registers):
        return _move_double(instruction)
    if is_xmm(instruction, 0):
        read, place = halves(instruction, 1), xmm_place(instruction, 0)

        def effect(state: State) -> None:
            state.xmm[place], state.xmm[place + 1] = read(state)

        return effect
    return _store_halves(instruction, xmm_place(instruction, 1))


def _store_halves(instruction: Instruction, place: int) -> Effect:
    address, size = memory_address(instruction), memory_size(instruction)

    def effect(state: State) -> None:
        start = address(state)
        state.store(start, 8, state.xmm[place])
        state.store(ex.add(start, ex.const(8)), 8, state.xmm[place + 1])
        if size > 16:
            state.store(ex.add(start, ex.const(16)), size - 16, None)

    return effect


def _move_double(instruction: Instruction) -> Effect:
    """Of a move of 32 bytes."""
    if is_memory(instruction, 0):
        return _store_halves(instruction, YMM[instruction.op_register(1)])
    target = YMM[instruction.op_register(0)]
    if is_memory(instruction, 1):
        address = memory_address(instruction)

        def load(state: State) -> None:
            start = address(state)
            state.xmm[target] = state.load(start, 8)
            state.xmm[target + 1] = state.load(ex.add(start, ex.const(8)), 8)

        return load
    source = YMM[instruction.op_register(1)]

    def effect(state: State) -> None:
        state.xmm[target : target + 2] = state.xmm[source : source + 2]

    return effect


def _move_scalar(size: int) -> Builder:
    """Makes the builder of movss and movsd."""

    def build(instruction: Instruction) -> Effect:
        if is_memory(instruction, 0):
            return _store_lowest(instruction, xmm_place(instruction, 1), size)
        place = xmm_place(instruction, 0)
        if is_memory(instruction, 1):
            read = reader(instruction, 1)

            def load(state: State) -> None:
                state.xmm[place], state.xmm[place + 1] = read(state), ex.ZERO

            return load
        first, second = vector_operands(instruction)
        a, b = xmm_place(instruction, first), xmm_place(instruction, second)

        def effect(state: State) -> None:
            state.xmm[place], state.xmm[place + 1] = (
                ex.insert(size, state.xmm[a], state.xmm[b]),
                state.xmm[a + 1],
            )

        return effect

    return build


def _store_lowest(instruction: Instruction, place: int, size: int) -> Effect:
    address = memory_address(instruction)
    if memory_size(instruction) != size:
        raise NotModelledError
    return lambda state: state.store(address(state), size, state.xmm[place])


def _move_general(size: int) -> Builder:
    """Makes the builder of movd and movq; what is above becomes 0."""

    def build(instruction: Instruction) -> Effect:
        if is_xmm(instruction, 0):
            place = xmm_place(instruction, 0)
            if is_xmm(instruction, 1):
                source = xmm_place(instruction, 1)

                def move(state: State) -> None:
                    state.xmm[place], state.xmm[place + 1] = state.xmm[source], ex.ZERO

                return move
            read = reader(instruction, 1)

            def effect(state: State) -> None:
                state.xmm[place], state.xmm[place + 1] = ex.zero(size, read(state)), ex.ZERO

            return effect
        write, from_place = writer(instruction, 0), xmm_place(instruction, 1)
        return lambda state: write(state, ex.zero(size, state.xmm[from_place]))

    return build


def _move_half(half: int) -> Builder:
    """Makes the builder of movlps and movhps: one half from or to memory."""

    def build(instruction: Instruction) -> Effect:
        if is_memory(instruction, 0):
            return _store_lowest(instruction, xmm_place(instruction, 1) + half, 8)
        first, second = vector_operands(instruction)
        other, place, read = (
            xmm_place(instruction, first),
            xmm_place(instruction, 0),
            reader(instruction, second),
        )

        def effect(state: State) -> None:
            kept, loaded = state.xmm[other + 1 - half], read(state)
            state.xmm[place + 1 - half], state.xmm[place + half] = kept, loaded

        return effect

    return build


def _logic(operator: str) -> Builder:
    def operation(a: Halves, b: Halves) -> Halves:
        return ex.binary(operator, a[0], b[0]), ex.binary(operator, a[1], b[1])

    return combined(operation)


def _constant(value: int, operation: Builder | None) -> Builder:
    """Makes the builder of an instruction whose result is known where both operands are the same register."""

    def build(instruction: Instruction) -> Effect:
        first, second = vector_operands(instruction)
        place = xmm_place(instruction, 0)
        if not is_memory(instruction, second) and instruction.op_register(first) == instruction.op_register(
            second
        ):

            def effect(state: State) -> None:
                state.xmm[place] = state.xmm[place + 1] = ex.const(value)

            return effect
        if operation is None:
            raise NotModelledError
        return operation(instruction)

    return build


def _not_and(a: Halves, b: Halves) -> Halves:
    return ex.binary("&", ex.complement(a[0]), b[0]), ex.binary("&", ex.complement(a[1]), b[1])


def _interleaved_low(a: Halves, b: Halves) -> Halves:
    (a0, a1, _, _), (b0, b1, _, _) = dwords(a), dwords(b)
    return pair(a0, b0), pair(a1, b1)


def _keep_all(_instruction: Instruction) -> Effect:
    """Of vzeroupper: what it changes is not followed."""
    return lambda _state: None


_EXCLUSIVE_OR = _constant(0, _logic("^"))
_NOT_AND = combined(_not_and)
_LOW_HALVES = combined(lambda a, b: (a[0], b[0]))
_HIGH_HALVES = combined(lambda a, b: (a[1], b[1]))
_INTERLEAVED = combined(_interleaved_low)

_WHOLE = ("MOVAPS", "MOVAPD", "MOVUPS", "MOVUPD", "MOVDQA", "MOVDQU", "MOVNTPS", "MOVNTPD", "MOVNTDQ")

_BUILDERS: dict[str, Builder] = {
    **dict.fromkeys(_WHOLE, _move_whole),
    "LDDQU": _move_whole,
    "MOVSS": _move_scalar(4),
    "MOVSD": _move_scalar(8),
    "MOVD": _move_general(4),
    "MOVQ": _move_general(8),
    **dict.fromkeys(("MOVLPS", "MOVLPD"), _move_half(0)),
    **dict.fromkeys(("MOVHPS", "MOVHPD"), _move_half(1)),
    **dict.fromkeys(("PAND", "ANDPS", "ANDPD"), _logic("&")),
    **dict.fromkeys(("POR", "ORPS", "ORPD"), _logic("|")),
    **dict.fromkeys(("PXOR", "XORPS", "XORPD"), _EXCLUSIVE_OR),
    **dict.fromkeys(("PANDN", "ANDNPS", "ANDNPD"), _NOT_AND),
    **dict.fromkeys(("PCMPEQB", "PCMPEQW", "PCMPEQD", "PCMPEQQ"), _constant(-1, None)),
    **dict.fromkeys(("MOVLHPS", "PUNPCKLQDQ", "UNPCKLPD"), _LOW_HALVES),
    **dict.fromkeys(("PUNPCKHQDQ", "UNPCKHPD"), _HIGH_HALVES),
    **dict.fromkeys(("PUNPCKLDQ", "UNPCKLPS"), _INTERLEAVED),
    "MOVHLPS": combined(lambda a, b: (b[1], a[1])),
}

BUILDERS: dict[int, Builder] = {
    getattr(Mnemonic, prefix + name): build for name, build in _BUILDERS.items() for prefix in ("", "V")
}
BUILDERS[Mnemonic.VZEROUPPER] = _keep_all
