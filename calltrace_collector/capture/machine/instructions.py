"""Machine code as steps: what an instruction does, or where it leads.

Steps are made once for the bytes of an instruction and kept: functions begin and end in few ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from iced_x86 import Decoder, FlowControl, Instruction, Mnemonic, Register

from calltrace_collector.capture.machine.expression import signed
from calltrace_collector.capture.machine.operands import Effect
from calltrace_collector.capture.machine.state import Code
from calltrace_collector.capture.machine.step import RefusedError, effect_of

__all__ = ["Flow", "Refusal", "Step", "steps"]

CHUNK_BYTES = 192
_LONGEST_BYTES = 15
_KEPT = 50_000
_LAST_ADDRESS = (1 << 63) - CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a piece of code cannot be traced.

    Attributes:
        reason: some words, as in "<parameter> is not available: <reason>".
    """

    reason: str


class Flow(IntEnum):
    """Where an instruction leads."""

    NEXT = 0
    JUMP = 1
    BRANCH = 2
    CALL = 3
    RETURN = 4
    END = 5  # it does not go on: ud2, hlt
    UNKNOWN = 6


@dataclass(frozen=True, slots=True)
class Step:
    """An instruction.

    Attributes:
        flow: where it leads.
        effect: of Flow.NEXT: what it does.
        target: of jumps, branches and calls: how far the target is from the next instruction; None: through
            a register or memory.
        pointer: of jumps and calls without target: how far the pointer is that they go through; None: it is
            not at a fixed place.
        condition: of branches: the condition as iced_x86.ConditionCode; 0 where it is none of flags.
        mnemonic: as iced_x86.Mnemonic.
    """

    flow: Flow
    effect: Effect | None = None
    target: int | None = None
    pointer: int | None = None
    condition: int = 0
    mnemonic: int = 0


_known: dict[bytes, Step] = {}

_BRANCHES = {
    FlowControl.UNCONDITIONAL_BRANCH: Flow.JUMP,
    FlowControl.INDIRECT_BRANCH: Flow.JUMP,
    FlowControl.CONDITIONAL_BRANCH: Flow.BRANCH,
    FlowControl.CALL: Flow.CALL,
    FlowControl.INDIRECT_CALL: Flow.CALL,
}


def steps(code: Code, address: int) -> Iterator[tuple[int, Step]]:
    """Decodes from an address on, until the code ends.

    Yields:
        The address behind each instruction, and the instruction.
    """
    while 0 <= address <= _LAST_ADDRESS:
        chunk = code.read(address, CHUNK_BYTES)
        last = len(chunk) - _LONGEST_BYTES if len(chunk) == CHUNK_BYTES else len(chunk) - 1
        start = 0
        for instruction in Decoder(64, chunk, ip=address):
            if start > last:
                break
            end = start + instruction.len
            key = chunk[start:end]
            step = _known.get(key)
            if step is None:
                step = _known[key] = _make(instruction)
            yield address + end, step
            start = end
        if start == 0 or len(chunk) < CHUNK_BYTES:
            return
        address += start


def _make(instruction: Instruction) -> Step:
    if len(_known) >= _KEPT:
        _known.clear()
    if instruction.is_invalid:
        return Step(Flow.UNKNOWN)
    flow = instruction.flow_control
    if flow == FlowControl.NEXT:
        try:
            return Step(Flow.NEXT, effect_of(instruction), mnemonic=instruction.mnemonic)
        except RefusedError:
            return Step(Flow.UNKNOWN, mnemonic=instruction.mnemonic)
    if flow == FlowControl.RETURN and instruction.mnemonic == Mnemonic.RET:
        return Step(Flow.RETURN if instruction.op_count == 0 else Flow.UNKNOWN)
    if flow == FlowControl.EXCEPTION:
        return Step(Flow.END)
    return _branch(instruction)


def _branch(instruction: Instruction) -> Step:
    flow = _BRANCHES.get(instruction.flow_control)
    if flow is None:
        return Step(Flow.UNKNOWN)
    if instruction.is_call_near or instruction.is_jmp_short_or_near or instruction.is_jcc_short_or_near:
        distance = signed(instruction.near_branch_target - instruction.next_ip)
        return Step(flow, target=distance, condition=instruction.condition_code)
    if instruction.is_jcx_short:
        return Step(flow, target=signed(instruction.near_branch_target - instruction.next_ip))
    if instruction.is_call_near_indirect or instruction.is_jmp_near_indirect:
        pointer = None
        if instruction.is_ip_rel_memory_operand and instruction.memory_base == Register.RIP:
            pointer = signed(instruction.memory_displacement - instruction.next_ip)
        return Step(flow, pointer=pointer)
    return Step(Flow.UNKNOWN)
