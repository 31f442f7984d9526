"""Loads and stores of the x87, which returns long doubles."""

from __future__ import annotations

from iced_x86 import Instruction, Mnemonic, Register

from calltrace_collector.capture.machine.flags import Builder
from calltrace_collector.capture.machine.operands import Effect, is_memory, memory_address, memory_size
from calltrace_collector.capture.machine.state import X87, State

STACK_REGISTERS = {getattr(Register, f"ST{n}"): n for n in range(8)}

_ONE = bytes.fromhex("0000000000000080ff3f")
_NOTHING = bytes(10)


def _load(instruction: Instruction) -> Effect:
    if is_memory(instruction, 0):
        address, size = memory_address(instruction), memory_size(instruction)

        def load(state: State) -> None:
            _push(state, ("address", address(state), size))

        return load
    number = _place(instruction)

    def duplicate(state: State) -> None:
        stack = state.x87
        _push(state, stack[-1 - number] if stack is not None and number < len(stack) else None)

    return duplicate


def _place(instruction: Instruction) -> int:
    """Returns the number of the register that is not, or not only, st(0)."""
    registers = [instruction.op_register(index) for index in range(instruction.op_count)]
    return max(STACK_REGISTERS.get(register, 0) for register in registers)


def _push(state: State, value: X87 | None) -> None:
    if state.x87 is None:
        return
    if value is not None and value[0] == "address" and value[1] is None:
        value = None
    state.x87.append(_resolved(state, value))
    if len(state.x87) > 8:
        state.x87 = None


def _resolved(state: State, value: X87 | None) -> X87 | None:
    """Returns what is loaded, if it will still be in memory as it was when the hook was called."""
    if value is None or value[0] != "address" or isinstance(value[1], bytes) or value[1] is None:
        return value
    address, size = value[1], value[2]
    if address[0] == "image":
        constant = state.code.constant(address[1], size)
        return None if constant is None else ("constant", constant, size)
    return value if state.memory_untouched(address, size) else None


def _constant(data: bytes) -> Builder:
    def build(_instruction: Instruction) -> Effect:
        return lambda state: _push(state, ("constant", data, 10))

    return build


def _store(pops: bool) -> Builder:
    """Makes the builder of fst and fstp."""

    def build(instruction: Instruction) -> Effect:
        if is_memory(instruction, 0):
            address, size = memory_address(instruction), memory_size(instruction)

            def store(state: State) -> None:
                state.store(address(state), size, None)
                if pops:
                    _pop(state)

            return store
        number = _place(instruction)

        def copy(state: State) -> None:
            stack = state.x87
            if stack is None or number >= len(stack):
                state.x87 = None
                return
            stack[-1 - number] = stack[-1]
            if pops:
                _pop(state)

        return copy

    return build


def _pop(state: State) -> None:
    if state.x87:
        state.x87.pop()
    else:
        state.x87 = None


def _exchange(instruction: Instruction) -> Effect:
    number = _place(instruction)

    def effect(state: State) -> None:
        stack = state.x87
        if stack is None or number >= len(stack):
            state.x87 = None
            return
        stack[-1], stack[-1 - number] = stack[-1 - number], stack[-1]

    return effect


BUILDERS: dict[int, Builder] = {
    Mnemonic.FLD: _load,
    Mnemonic.FLDZ: _constant(_NOTHING),
    Mnemonic.FLD1: _constant(_ONE),
    Mnemonic.FST: _store(False),
    Mnemonic.FSTP: _store(True),
    Mnemonic.FXCH: _exchange,
}
