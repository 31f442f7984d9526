"""The operands of an instruction: functions that read and write them, made once for each instruction.

They work on a State. Reading gives the operand zero-extended (immediates sign-extended to 64 bits, as far as
the instruction does that), writing cuts what is given.
"""

from __future__ import annotations

from collections.abc import Callable

from iced_x86 import Instruction, MemorySizeExt, OpKind, Register

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Value
from calltrace_collector.capture.machine.state import State

Effect = Callable[[State], None]
Read = Callable[[State], Value]
Write = Callable[[State, Value], None]

FAMILIES = (
    ("RAX", "EAX", "AX", "AL", "AH"),
    ("RDX", "EDX", "DX", "DL", "DH"),
    ("RCX", "ECX", "CX", "CL", "CH"),
    ("RBX", "EBX", "BX", "BL", "BH"),
    ("RSI", "ESI", "SI", "SIL", None),
    ("RDI", "EDI", "DI", "DIL", None),
    ("RBP", "EBP", "BP", "BPL", None),
    ("RSP", "ESP", "SP", "SPL", None),
    *((f"R{n}", f"R{n}D", f"R{n}W", f"R{n}L", None) for n in range(8, 16)),
)

GENERAL: dict[int, tuple[int, int, bool]] = {
    getattr(Register, name): (number, size, place == 4)
    for number, family in enumerate(FAMILIES)
    for place, (name, size) in enumerate(zip(family, (8, 4, 2, 1, 1), strict=True))
    if name is not None
}
"""By the decoder's register: DWARF number, size in bytes, whether it is the second byte (AH)."""

XMM: dict[int, int] = {getattr(Register, f"XMM{n}"): 2 * n for n in range(16)}
"""By the decoder's register: the place of its lower half in State.xmm."""

YMM: dict[int, int] = {getattr(Register, f"YMM{n}"): 2 * n for n in range(16)}
"""The same of registers of which but the lowest 16 bytes are followed."""

OTHER_SEGMENTS: frozenset[int] = frozenset((Register.FS, Register.GS))
_RIP: int = Register.RIP
_IMMEDIATES: frozenset[int] = frozenset(
    (
        OpKind.IMMEDIATE8,
        OpKind.IMMEDIATE16,
        OpKind.IMMEDIATE32,
        OpKind.IMMEDIATE64,
        OpKind.IMMEDIATE8TO16,
        OpKind.IMMEDIATE8TO32,
        OpKind.IMMEDIATE8TO64,
        OpKind.IMMEDIATE32TO64,
    )
)


class NotModelledError(Exception):
    """An instruction has operands of a kind that is not dealt with here; the general way takes over."""


def operand_size(instruction: Instruction, index: int) -> int:
    """Returns the size of a general register or memory operand; of an immediate, the first operand's."""
    kind = instruction.op_kind(index)
    if kind == OpKind.REGISTER:
        register = GENERAL.get(instruction.op_register(index))
        if register is None:
            raise NotModelledError
        return register[1]
    if kind == OpKind.MEMORY:
        return memory_size(instruction)
    if kind in _IMMEDIATES and index:
        return operand_size(instruction, 0)
    raise NotModelledError


def memory_size(instruction: Instruction) -> int:
    """Returns the size of the memory operand in bytes; 0 where it is not known."""
    return int(MemorySizeExt.size(instruction.memory_size))


def memory_address(instruction: Instruction) -> Read:
    """Returns what computes the memory operand's address; None for one relative to fs or gs."""
    if instruction.memory_segment in OTHER_SEGMENTS:
        return _unknown
    return effective_address(instruction)


def _unknown(_state: State) -> Value:
    return None


def effective_address(instruction: Instruction) -> Read:
    """Returns what computes the memory operand's address, without its segment's."""
    displacement = ex.signed(instruction.memory_displacement)
    if instruction.is_ip_rel_memory_operand:
        if instruction.memory_base != _RIP:
            return _unknown
        distance = displacement - instruction.next_ip
        return lambda state: ex.image(state.next + distance)
    base = _address_register(instruction.memory_base)
    index = _address_register(instruction.memory_index)
    if index < 0:
        return _based(base, displacement)
    scale = instruction.memory_index_scale
    if base < 0:
        return lambda state: ex.add(_scaled(state.general[index], scale), ex.const(displacement))
    return lambda state: ex.add(
        ex.add(state.general[base], _scaled(state.general[index], scale)), ex.const(displacement)
    )


def _address_register(register: int) -> int:
    """Returns a register's DWARF number, -1 for none; those of 32 bits and vectors are refused."""
    if register == Register.NONE:
        return -1
    number, size, _ = GENERAL.get(register, (0, 0, False))
    if size != 8:
        raise NotModelledError
    return number


def _scaled(index: Value, scale: int) -> Value:
    return index if scale == 1 else ex.binary("*", index, ex.const(scale))


def _based(base: int, displacement: int) -> Read:
    if base < 0:
        address = ex.const(displacement)
        return lambda _state: address

    def read(state: State) -> Value:
        value = state.general[base]
        if value is None or value[0] == "insert":
            return None
        return ex.offset_by(value, displacement)

    return read


def reader(instruction: Instruction, index: int) -> Read:
    """Returns what reads an operand: a general register, memory, or a number."""
    kind = instruction.op_kind(index)
    if kind == OpKind.REGISTER:
        return _register_reader(instruction.op_register(index))
    if kind == OpKind.MEMORY:
        size = memory_size(instruction)
        if size not in (1, 2, 4, 8):
            raise NotModelledError
        address = memory_address(instruction)
        return lambda state: state.load(address(state), size)
    if kind in _IMMEDIATES:
        number = ex.zero(
            operand_size(instruction, index) if index else 8, ex.const(instruction.immediate(index))
        )
        return lambda _state: number
    raise NotModelledError


def _register_reader(register: int) -> Read:
    number, size, second = GENERAL.get(register, (0, 0, False))
    if not size:
        raise NotModelledError
    if second:
        return lambda state: ex.zero(1, ex.binary(">>", ex.zero(2, state.general[number]), ex.const(8)))
    if size == 8:
        return lambda state: state.general[number]
    return lambda state: ex.zero(size, state.general[number])


def writer(instruction: Instruction, index: int) -> Write:
    """Returns what writes an operand: a general register, or memory."""
    kind = instruction.op_kind(index)
    if kind == OpKind.REGISTER:
        return register_writer(instruction.op_register(index))
    if kind != OpKind.MEMORY:
        raise NotModelledError
    size = memory_size(instruction)
    if size not in (1, 2, 4, 8):
        raise NotModelledError
    address = memory_address(instruction)
    return lambda state, value: state.store(address(state), size, value)


def register_writer(register: int) -> Write:
    """Returns what writes a general register, or a part of it."""
    number, size, second = GENERAL.get(register, (0, 0, False))
    if not size:
        raise NotModelledError

    def write(state: State, value: Value) -> None:
        if size == 8:
            state.general[number] = value
        elif size == 4:
            state.general[number] = ex.zero(4, value)
        elif second:
            # What lies above is not known any more.
            state.general[number] = ex.insert(1, None, state.general[number])
        else:
            state.general[number] = ex.insert(size, state.general[number], value)

    return write


def xmm_place(instruction: Instruction, index: int) -> int:
    """Returns the place of an xmm register operand in State.xmm."""
    if instruction.op_kind(index) != OpKind.REGISTER:
        raise NotModelledError
    place = XMM.get(instruction.op_register(index))
    if place is None:
        raise NotModelledError
    return place


def is_memory(instruction: Instruction, index: int) -> bool:
    """Tells whether an operand is in memory."""
    return bool(instruction.op_kind(index) == OpKind.MEMORY)


def is_xmm(instruction: Instruction, index: int) -> bool:
    """Tells whether an operand is one of xmm0 to xmm15."""
    return instruction.op_kind(index) == OpKind.REGISTER and instruction.op_register(index) in XMM
