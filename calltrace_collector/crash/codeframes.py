"""Callers of code that has no call frame information, where the machine code leaves no doubt.

Source for signal frames: arch/x86/include/asm/sigframe.h and uapi/asm/sigcontext.h of Linux.
"""

from __future__ import annotations

from calltrace_collector.crash import instructions
from calltrace_collector.crash.space import AddressSpace, Module

IP, SP, BP = 16, 7, 6

Registers = list[int | None]
"""Values by DWARF number, 0 to 16; None where unknown."""

_PROLOGUE_BYTES = 8
_CONTEXT = 40  # of the registers in ucontext_t
# In the order of struct sigcontext: r8 to r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip.
_SAVED = (*range(8, 16), 5, 4, 6, 3, 1, 0, 2, 7, 16)


def is_sigreturn(space: AddressSpace, address: int) -> bool:
    """Tells whether the code at an address is what signal handlers return to."""
    return space.read(address, len(instructions.SIGRETURN)) == instructions.SIGRETURN


def caller(
    space: AddressSpace, module: Module | None, registers: Registers, *, is_exact: bool
) -> tuple[int, Registers]:
    """Returns the CFA of a frame, and the caller's registers.

    Args:
        space: the process's.
        module: that the code is in.
        registers: of the frame.
        is_exact: the frame was interrupted at its address; otherwise it is in a call.

    Raises:
        ValueError: the caller cannot be told.
    """
    address, stack_pointer = registers[IP] or 0, registers[SP] or 0
    if is_sigreturn(space, address):
        return _interrupted(space, stack_pointer)
    if is_exact and not space.is_code(address):
        # The processor got here by a call, or by a jump at the end of a function, for nothing was executed.
        return _popped(space, registers, stack_pointer)
    code = space.read_some(address, instructions.SHORT_CODE_BYTES)
    start = _function_start(module, address if is_exact else address - 1)
    if is_exact and (address == start or instructions.is_jump_stub(code)):
        return _popped(space, registers, stack_pointer)
    prologue = start is not None and instructions.frame_pointer_prologue(
        space.read_some(start, _PROLOGUE_BYTES)
    )
    if start is None or not prologue:
        problem = f" ({module.problem})" if module and module.problem else ""
        raise ValueError(f"there is no call frame information{problem}")
    pushed, is_set = (start + offset for offset in prologue)
    if is_exact and address == pushed:
        registers = [*registers]
        registers[BP] = space.read_number(stack_pointer)
        return _popped(space, registers, stack_pointer + 8)
    if address < is_set or (is_exact and instructions.leaves_function(code)):
        raise ValueError("there is no call frame information")
    return _by_frame_pointer(space, registers)


def _popped(space: AddressSpace, registers: Registers, slot: int) -> tuple[int, Registers]:
    """Returns the caller of a function that has done nothing yet: its return address is at `slot`."""
    return_address = space.read_number(slot)
    _check_call(space, return_address)
    found = [*registers]
    found[IP], found[SP] = return_address, slot + 8
    return slot + 8, found


def _by_frame_pointer(space: AddressSpace, registers: Registers) -> tuple[int, Registers]:
    """Returns the caller of a function that has set up a frame pointer."""
    base = registers[BP]
    if base is None or base < (registers[SP] or 0):
        raise ValueError("there is no call frame information, and rbp is no frame pointer")
    return_address = space.read_number(base + 8)
    _check_call(space, return_address)
    found: Registers = [None] * len(registers)
    found[BP], found[SP], found[IP] = space.read_number(base), base + 16, return_address
    return base + 16, found


def _check_call(space: AddressSpace, return_address: int) -> None:
    """Raises ValueError unless there is a call right before the return address."""
    for size in range(instructions.LONGEST_CALL_BYTES, 1, -1):
        code = space.read(return_address - size, size)
        if code is not None:
            if instructions.ends_in_call(code) and space.is_code(return_address - 1):
                return
            break
    raise ValueError(f"there is no call before {return_address:#x}, where it would return to")


def _interrupted(space: AddressSpace, stack_pointer: int) -> tuple[int, Registers]:
    """Returns what a signal has interrupted; the stack pointer is at its ucontext_t."""
    found: Registers = [None] * 17
    for index, register in enumerate(_SAVED):
        found[register] = space.read_number(stack_pointer + _CONTEXT + 8 * index)
    return found[SP] or 0, found


def _function_start(module: Module | None, address: int) -> int | None:
    """Returns where the function that the address is in starts, if that is known."""
    if module is None or module.symbols is None:
        return None
    (function,) = module.symbols.functions([address - module.load_bias])
    return function.offset + module.load_bias if function else None
