"""Floating-point arithmetic and conversions of SSE and AVX, scalar and of 128 bits."""

from __future__ import annotations

from iced_x86 import Instruction, Mnemonic

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Value
from calltrace_collector.capture.machine.flags import Builder
from calltrace_collector.capture.machine.operands import (
    Effect,
    NotModelledError,
    Read,
    is_memory,
    memory_size,
    operand_size,
    reader,
    writer,
    xmm_place,
)
from calltrace_collector.capture.machine.state import State
from calltrace_collector.capture.machine.vector import Halves, combined, dwords, halves, pair, vector_operands


def _scalar(instruction: Instruction, index: int, size: int) -> Read:
    """Returns what reads the lowest `size` bytes of an xmm register, or so many of memory."""
    if is_memory(instruction, index):
        if memory_size(instruction) != size:
            raise NotModelledError
        return reader(instruction, index)
    place = xmm_place(instruction, index)
    return lambda state: ex.zero(size, state.xmm[place])


def _put_lowest(state: State, place: int, kept: int, size: int, value: Value) -> None:
    """Sets the lowest bytes of a register; the others come from that at `kept`."""
    state.xmm[place], state.xmm[place + 1] = ex.insert(size, state.xmm[kept], value), state.xmm[kept + 1]


def _arithmetic(operation: str, size: int) -> Builder:
    """Makes the builder of addss and the like."""
    name = f"{operation}_{'d' if size == 8 else 'f'}"

    def build(instruction: Instruction) -> Effect:
        first, second = vector_operands(instruction)
        kept, place = xmm_place(instruction, first), xmm_place(instruction, 0)
        read = _scalar(instruction, second, size)

        def effect(state: State) -> None:
            value = ex.floating(name, ex.zero(size, state.xmm[kept]), read(state))
            _put_lowest(state, place, kept, size, value)

        return effect

    return build


def _packed(operation: str, size: int) -> Builder:
    """Makes the builder of addps and the like."""

    def of_doubles(a: Halves, b: Halves) -> Halves:
        name = f"{operation}_d"
        return ex.floating(name, a[0], b[0]), ex.floating(name, a[1], b[1])

    def of_floats(a: Halves, b: Halves) -> Halves:
        parts = [ex.floating(f"{operation}_f", x, y) for x, y in zip(dwords(a), dwords(b), strict=True)]
        return pair(parts[0], parts[1]), pair(parts[2], parts[3])

    return combined(of_doubles if size == 8 else of_floats)


def _convert(name: str, size: int, result_size: int) -> Builder:
    """Makes the builder of cvtss2sd and cvtsd2ss."""

    def build(instruction: Instruction) -> Effect:
        first, second = vector_operands(instruction)
        kept, place = xmm_place(instruction, first), xmm_place(instruction, 0)
        read = _scalar(instruction, second, size)
        return lambda state: _put_lowest(state, place, kept, result_size, ex.floating(name, read(state)))

    return build


def _from_integer(result_size: int) -> Builder:
    """Makes the builder of cvtsi2sd and cvtsi2ss."""
    tail = "d" if result_size == 8 else "f"

    def build(instruction: Instruction) -> Effect:
        first, second = vector_operands(instruction)
        kept, place = xmm_place(instruction, first), xmm_place(instruction, 0)
        read, name = reader(instruction, second), f"i{8 * operand_size(instruction, second)}_to_{tail}"
        return lambda state: _put_lowest(state, place, kept, result_size, ex.floating(name, read(state)))

    return build


def _to_integer(size: int) -> Builder:
    """Makes the builder of cvttsd2si and cvttss2si."""
    head = "d" if size == 8 else "f"

    def build(instruction: Instruction) -> Effect:
        read, write = _scalar(instruction, 1, size), writer(instruction, 0)
        name = f"{head}_to_i{8 * operand_size(instruction, 0)}"
        return lambda state: write(state, ex.floating(name, read(state)))

    return build


def _two_to_double(name: str) -> Builder:
    """Makes the builder of cvtps2pd and cvtdq2pd: of the two lowest double words."""

    def build(instruction: Instruction) -> Effect:
        read, place = _scalar(instruction, 1, 8), xmm_place(instruction, 0)

        def effect(state: State) -> None:
            value = read(state)
            low, high = ex.zero(4, value), ex.binary(">>", value, ex.const(32))
            state.xmm[place], state.xmm[place + 1] = ex.floating(name, low), ex.floating(name, high)

        return effect

    return build


def _two_to_float(instruction: Instruction) -> Effect:
    """Of cvtpd2ps: both doubles become floats in the lower half."""
    read, place = halves(instruction, 1), xmm_place(instruction, 0)

    def effect(state: State) -> None:
        low, high = read(state)
        state.xmm[place] = pair(ex.floating("d_to_f", low), ex.floating("d_to_f", high))
        state.xmm[place + 1] = ex.ZERO

    return effect


_OPERATIONS = {"ADD": "add", "SUB": "subtract", "MUL": "multiply", "DIV": "divide"}

_BUILDERS: dict[str, Builder] = {
    **{f"{mnemonic}SD": _arithmetic(name, 8) for mnemonic, name in _OPERATIONS.items()},
    **{f"{mnemonic}SS": _arithmetic(name, 4) for mnemonic, name in _OPERATIONS.items()},
    **{f"{mnemonic}PD": _packed(name, 8) for mnemonic, name in _OPERATIONS.items()},
    **{f"{mnemonic}PS": _packed(name, 4) for mnemonic, name in _OPERATIONS.items()},
    "CVTSS2SD": _convert("f_to_d", 4, 8),
    "CVTSD2SS": _convert("d_to_f", 8, 4),
    "CVTSI2SD": _from_integer(8),
    "CVTSI2SS": _from_integer(4),
    "CVTTSD2SI": _to_integer(8),
    "CVTTSS2SI": _to_integer(4),
    "CVTPS2PD": _two_to_double("f_to_d"),
    "CVTDQ2PD": _two_to_double("i32_to_d"),
    "CVTPD2PS": _two_to_float,
}

BUILDERS: dict[int, Builder] = {
    getattr(Mnemonic, prefix + name): build for name, build in _BUILDERS.items() for prefix in ("", "V")
}
