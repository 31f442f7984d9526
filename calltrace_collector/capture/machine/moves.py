"""Instructions that move integers: mov, lea, push, pop, extensions, exchanges, rep stos."""

from __future__ import annotations

from iced_x86 import Instruction, Mnemonic, OpKind

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Value
from calltrace_collector.capture.machine.flags import Builder
from calltrace_collector.capture.machine.operands import (
    Effect,
    NotModelledError,
    effective_address,
    is_memory,
    operand_size,
    reader,
    writer,
)
from calltrace_collector.capture.machine.registers import RAX, RBP, RCX, RDI, RDX, RSP
from calltrace_collector.capture.machine.state import State


def _move(instruction: Instruction) -> Effect:
    read, write = reader(instruction, 1), writer(instruction, 0)
    return lambda state: write(state, read(state))


def _move_signed(instruction: Instruction) -> Effect:
    read, write, size = reader(instruction, 1), writer(instruction, 0), operand_size(instruction, 1)
    return lambda state: write(state, ex.sign(size, read(state)))


def _address(instruction: Instruction) -> Effect:
    read, write = effective_address(instruction), writer(instruction, 0)
    return lambda state: write(state, read(state))


def _moved_by(value: Value, distance: int) -> Value:
    return ex.add(value, ex.const(distance))


def _push(instruction: Instruction) -> Effect:
    if instruction.stack_pointer_increment != -8:
        raise NotModelledError
    read = reader(instruction, 0)

    def effect(state: State) -> None:
        value = read(state)
        top = state.general[RSP] = _moved_by(state.general[RSP], -8)
        state.store(top, 8, value)

    return effect


def _pop(instruction: Instruction) -> Effect:
    if instruction.stack_pointer_increment != 8 or is_memory(instruction, 0):
        raise NotModelledError
    write = writer(instruction, 0)

    def effect(state: State) -> None:
        top = state.general[RSP]
        state.general[RSP] = _moved_by(top, 8)
        write(state, state.load(top, 8))

    return effect


def _leave(instruction: Instruction) -> Effect:
    if instruction.stack_pointer_increment not in (0, 8):
        raise NotModelledError

    def effect(state: State) -> None:
        frame = state.general[RBP]
        state.general[RSP] = _moved_by(frame, 8)
        state.general[RBP] = state.load(frame, 8)

    return effect


def _exchange(instruction: Instruction) -> Effect:
    read_a, read_b = reader(instruction, 0), reader(instruction, 1)
    write_a, write_b = writer(instruction, 0), writer(instruction, 1)
    memory_first = is_memory(instruction, 0)

    def effect(state: State) -> None:
        a, b = read_a(state), read_b(state)
        # The address of one in memory may be made of the other, and is that of before.
        if memory_first:
            write_a(state, b)
            write_b(state, a)
        else:
            write_b(state, a)
            write_a(state, b)

    return effect


def _extend_accumulator(size: int) -> Builder:
    """Makes the builder of cbw, cwde, cdqe: the accumulator becomes twice `size` bytes."""

    def build(_instruction: Instruction) -> Effect:
        def effect(state: State) -> None:
            value = ex.sign(size, state.general[RAX])
            if size == 1:
                value = ex.insert(2, state.general[RAX], value)
            state.general[RAX] = ex.zero(4, value) if size == 2 else value

        return effect

    return build


def _extend_to_rdx(size: int) -> Builder:
    """Makes the builder of cdq, cqo: rdx is filled with the accumulator's sign."""

    def build(_instruction: Instruction) -> Effect:
        def effect(state: State) -> None:
            value = ex.binary("s>>", ex.sign(size, state.general[RAX]), ex.const(63))
            state.general[RDX] = ex.zero(size, value)

        return effect

    return build


def reversed_bytes(size: int, value: Value) -> Value:
    """Returns the lowest `size` bytes in the opposite order."""
    result: Value = ex.ZERO
    for index in range(size):
        byte = ex.binary("&", ex.binary(">>", value, ex.const(8 * index)), ex.const(0xFF))
        result = ex.binary("|", ex.binary("<<", byte, ex.const(8 * (size - 1 - index))), result)
    return result


def _swap_bytes(instruction: Instruction) -> Effect:
    size = operand_size(instruction, 0)
    if size not in (4, 8):
        raise NotModelledError
    read, write = reader(instruction, 0), writer(instruction, 0)
    return lambda state: write(state, reversed_bytes(size, read(state)))


def _move_swapped(instruction: Instruction) -> Effect:
    size = operand_size(instruction, 0)
    read, write = reader(instruction, 1), writer(instruction, 0)
    return lambda state: write(state, reversed_bytes(size, read(state)))


def _fill(size: int) -> Builder:
    """Makes the builder of rep stos: initialises a variable, where the count is known."""

    def build(instruction: Instruction) -> Effect:
        if not instruction.has_rep_prefix or instruction.op_kind(0) != OpKind.MEMORY_ESRDI:
            raise NotModelledError

        def effect(state: State) -> None:
            count, start = state.general[RCX], state.general[RDI]
            if count is None or count[0] != "const" or count[1] > 1 << 24:
                state.memory.lose()
                state.general[RDI] = None
            else:
                state.general[RDI] = _moved_by(start, count[1] * size)
                if count[1]:
                    state.store(start, count[1] * size, None)
            state.general[RCX] = ex.ZERO

        return effect

    return build


BUILDERS: dict[int, Builder] = {
    Mnemonic.MOV: _move,
    Mnemonic.MOVZX: _move,
    Mnemonic.MOVSX: _move_signed,
    Mnemonic.MOVSXD: _move_signed,
    Mnemonic.MOVBE: _move_swapped,
    Mnemonic.MOVNTI: _move,
    Mnemonic.LEA: _address,
    Mnemonic.PUSH: _push,
    Mnemonic.POP: _pop,
    Mnemonic.LEAVE: _leave,
    Mnemonic.XCHG: _exchange,
    Mnemonic.CBW: _extend_accumulator(1),
    Mnemonic.CWDE: _extend_accumulator(2),
    Mnemonic.CDQE: _extend_accumulator(4),
    Mnemonic.CDQ: _extend_to_rdx(4),
    Mnemonic.CQO: _extend_to_rdx(8),
    Mnemonic.BSWAP: _swap_bytes,
    Mnemonic.STOSB: _fill(1),
    Mnemonic.STOSD: _fill(4),
    Mnemonic.STOSQ: _fill(8),
}
