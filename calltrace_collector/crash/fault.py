"""What the address was that could not be accessed, and how it was accessed.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3, section 4.7, for the error
code of a page fault.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

from calltrace_collector.crash import signals
from calltrace_collector.crash.codeframes import IP, SP
from calltrace_collector.crash.instructions import Operand, decode_operand
from calltrace_collector.crash.space import AddressSpace
from calltrace_collector.model.crash import CrashRecord

_PAGE_FAULT = 14
_ALIGNMENT_CHECK = 17  # of which the processor gives no address
_PROTECTION = (0, 12, 13)  # not known, stack fault, general protection
_WRITE, _FETCH = 2, 16
_NULL_BYTES = 1 << 16
_BELOW_STACK_BYTES = 136  # the red zone, and what a call pushes
_STACK_GAP_BYTES = 1 << 20  # that the kernel keeps free below a stack that grows
_MAX_INSTRUCTION_BYTES = 15
_DIVISIONS = {0xF6: (6, 7), 0xF7: (6, 7)}


@dataclass(frozen=True, slots=True)
class Fault:
    """An access that failed.

    Attributes:
        access: "read", "write", "jump" or, where that is not known, "access".
        address: None if not known.
        description: what is at the address; "" if that is not known.
        is_overflow: the stack has overflowed.
    """

    access: str
    address: int | None
    description: str
    is_overflow: bool = False


def find_fault(record: CrashRecord, space: AddressSpace) -> Fault | None:
    """Returns the access that the signal is about; None for signals that are about none."""
    if record.trap_number == _ALIGNMENT_CHECK and record.fault_address == 0:
        return Fault("access", None, "not aligned as the program has asked for")
    if signals.has_address(record.signal, record.code):
        address = record.fault_address
        overflow = _is_overflow(record, space, address)
        return Fault(_access(record, address), address, describe(space, address, record), overflow)
    if record.signal in (signal.SIGSEGV, signal.SIGBUS) and record.code == signals.SI_KERNEL:
        return _without_address(record, space)
    return None


def describe(space: AddressSpace, address: int, record: CrashRecord) -> str:
    """Returns what is at an address; "" if there is no map."""
    if address < _NULL_BYTES:
        return "NULL page"
    mapping = space.maps.find(address)
    if mapping is None and is_non_canonical(address):
        return "non-canonical address"
    if not space.maps:
        return ""
    above = space.maps.next_after(address)
    if mapping is None:
        near = above is not None and above.name == "[stack]" and above.start - address <= _STACK_GAP_BYTES
        return "below the stack of the main thread" if near else "unmapped"
    if not mapping.is_accessible and above is not None and above.start == mapping.end:
        stack_pointer = record.registers[SP] if record.registers else 0
        if above.permissions.startswith("rw") and mapping.start <= stack_pointer < above.end:
            return "stack guard of the thread"
    module = space.module_at(address)
    name = mapping.name or (module.path if module else "anonymous memory")
    return f"{name}, {mapping.permissions}"


def is_non_canonical(address: int) -> bool:
    """Tells whether the address lies between the two halves that 48 bits can express."""
    return (1 << 47) <= address < (1 << 64) - (1 << 47)


def division_by_zero(record: CrashRecord, space: AddressSpace) -> bool | None:
    """Tells whether a division that failed was by zero, and not of too large a number.

    Returns:
        None if that cannot be told.
    """
    operand = _operand(record, space)
    if operand is None or operand.extension not in _DIVISIONS.get(operand.opcode, ()):
        return None
    size = operand.size_bytes
    if operand.register is not None:
        if size == 1:  # of which some are the second bytes of others
            return None
        return record.registers[operand.register] & (1 << 8 * size) - 1 == 0
    if operand.address is None:
        return None
    try:
        return space.read_number(operand.address, size) == 0
    except ValueError:
        return None


def _access(record: CrashRecord, address: int) -> str:
    """Returns what the page fault's error code says of the access."""
    if record.trap_number != _PAGE_FAULT:
        is_jump = bool(record.registers) and record.registers[IP] == address
        return "jump" if is_jump else "access"
    if record.trap_error & _FETCH:
        return "jump"
    return "write" if record.trap_error & _WRITE else "read"


def _is_overflow(record: CrashRecord, space: AddressSpace, address: int) -> bool:
    """Tells whether the address is one that the stack has grown down to, beyond its end."""
    if not record.registers or not space.maps:
        return False
    if not address + _BELOW_STACK_BYTES - record.registers[SP] >= 0:
        return False
    return describe(space, address, record) in (
        "stack guard of the thread",
        "below the stack of the main thread",
    )


def _without_address(record: CrashRecord, space: AddressSpace) -> Fault:
    """Returns the access of a general protection fault, of which the processor does not say the address.

    The instruction says it, if it has an operand at an address that cannot be.
    """
    if record.registers and is_non_canonical(record.registers[IP]):
        return Fault("jump", record.registers[IP], "non-canonical address")
    operand = _operand(record, space) if record.trap_number in _PROTECTION else None
    if operand is not None and operand.address is not None and is_non_canonical(operand.address):
        return Fault("access", operand.address, "non-canonical address")
    return Fault("access", None, "")


def _operand(record: CrashRecord, space: AddressSpace) -> Operand | None:
    if not record.registers:
        return None
    code = space.read_some(record.registers[IP], _MAX_INSTRUCTION_BYTES)
    return decode_operand(code, record.registers, (record.fs_base, record.gs_base))
