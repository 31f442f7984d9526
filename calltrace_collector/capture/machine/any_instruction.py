"""What any instruction does that is not modelled: whatever it may write is not known afterwards.

What it may write, the decoder knows, operands that are not spelled out included.
"""

from __future__ import annotations

from collections.abc import Callable

from iced_x86 import (
    Instruction,
    InstructionInfoFactory,
    MemorySizeExt,
    Mnemonic,
    OpAccess,
    Register,
    UsedMemory,
)

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Value
from calltrace_collector.capture.machine.operands import GENERAL, OTHER_SEGMENTS, XMM, YMM, Effect
from calltrace_collector.capture.machine.state import State
from calltrace_collector.capture.machine.x87 import STACK_REGISTERS

_WRITES = frozenset((OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE))

_REFUSED = frozenset(
    getattr(Mnemonic, name)
    for name in (
        # They change how the following instructions work.
        "STD", "POPF", "POPFQ", "LDMXCSR", "VLDMXCSR", "FLDCW", "FLDENV", "FRSTOR", "FXRSTOR", "FXRSTOR64",
        "XRSTOR", "XRSTOR64", "XRSTORS", "XRSTORS64", "FNINIT", "WRFSBASE", "WRGSBASE", "SWAPGS",
        # Nothing is known of what comes after them.
        "SYSCALL", "SYSENTER", "INT", "INT3", "ENTER",
    )
)  # fmt: skip

_FACTORY = InstructionInfoFactory()
_ZMM = {getattr(Register, f"ZMM{n}"): 2 * n for n in range(16)}


class RefusedError(Exception):
    """An instruction after which nothing can be said."""


def forget(instruction: Instruction) -> Effect:
    """Makes the effect of an instruction that is not modelled.

    Raises:
        RefusedError: there is no telling what it does.
    """
    if instruction.mnemonic in _REFUSED or instruction.is_invalid:
        raise RefusedError
    info = _FACTORY.info(instruction)
    written = [used.register for used in info.used_registers() if used.access in _WRITES]
    general = {GENERAL[register][0] for register in written if register in GENERAL}
    vectors = {
        place for table in (XMM, YMM, _ZMM) for register, place in table.items() if register in written
    }
    memory = [_lost_range(used, instruction) for used in info.used_memory() if used.access in _WRITES]
    stack = _touches_x87(instruction, {used.register for used in info.used_registers()})
    flags = bool(instruction.rflags_modified)

    def effect(state: State) -> None:
        # Addresses first: they are made of the registers as they were.
        ranges = [(address(state), size) for address, size in memory]
        for number in general:
            state.general[number] = None
        for place in vectors:
            state.xmm[place] = state.xmm[place + 1] = None
        if flags:
            state.flags = None
        if stack:
            state.x87 = None
        for start, size in ranges:
            if size:
                state.store(start, size, None)
            else:
                state.memory.lose()

    return effect


def _touches_x87(instruction: Instruction, used: set[int]) -> bool:
    return bool(instruction.fpu_stack_increment_info().writes_top) or any(
        register in STACK_REGISTERS for register in used
    )


def _lost_range(used: UsedMemory, instruction: Instruction) -> tuple[Callable[[State], Value], int]:
    """Returns what computes the start of memory that an instruction writes, and its size (0: not known)."""
    size = int(MemorySizeExt.size(used.memory_size))
    base = GENERAL.get(used.base)
    plain = used.segment not in OTHER_SEGMENTS and used.index == Register.NONE
    if not plain or instruction.is_ip_rel_memory_operand or base is None or base[1] != 8:
        return lambda _state: None, 0
    number, displacement = base[0], ex.signed(used.displacement)
    return lambda state: ex.add(state.general[number], ex.const(displacement)), size
