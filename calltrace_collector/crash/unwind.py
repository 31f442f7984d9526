"""Unwinding: the frames of a thread's stack, from its registers and its memory.

Sources: DWARF 5, section 6.4.3 (using call frame information); System V ABI, AMD64 supplement, section 3.2.1
(the registers that functions preserve).

Nothing is guessed. A caller is found by call frame information, or by machine code that leaves no other
possibility, or else the trace ends and says why.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from calltrace_collector.crash import codeframes
from calltrace_collector.crash.codeframes import IP, SP, Registers
from calltrace_collector.crash.expression import evaluate
from calltrace_collector.crash.space import AddressSpace, Module
from calltrace_collector.errors import SymbolError
from calltrace_collector.symbols.framerows import REGISTER_COUNT, Rule, RuleKind
from calltrace_collector.symbols.resolver import FrameRow

MAX_FRAMES = 1 << 18
"""An 8 MB stack of the smallest frames that compilers make."""
MAX_SECONDS = 10.0
"""Sound stacks take some microseconds a frame; what was made to take long is not worth more."""

_PRESERVED = frozenset({3, 6, 12, 13, 14, 15})  # rbx, rbp, r12 to r15
_MASK = (1 << 64) - 1


class CannotUnwindError(Exception):
    """The caller of a frame cannot be found; the message says why."""


@dataclass(frozen=True, slots=True)
class StackFrame:
    """A frame as it is on the stack, before it is known what was inlined in it.

    Attributes:
        address: of the instruction where it was interrupted, or that its callee returns to.
        is_exact: it was interrupted there; otherwise it is in the call before.
        stack_pointer: at that instruction, as soon as the callee has returned.
        cfa: its canonical frame address: what the stack pointer was before it was called; None where the
            trace ends.
        is_signal_frame: it is the kernel's, between a signal's handler and what was interrupted.
    """

    address: int
    is_exact: bool
    stack_pointer: int
    cfa: int | None
    module: Module | None
    is_signal_frame: bool

    @property
    def code_address(self) -> int:
        """An address in the instruction that is being executed."""
        return self.address if self.is_exact else self.address - 1


@dataclass(frozen=True, slots=True)
class Stack:
    """Frames, innermost first, and why there are no more; "" after a thread's outermost frame."""

    frames: list[StackFrame]
    ended_by: str


def unwind(space: AddressSpace, registers: Sequence[int], *, is_exact: bool = True) -> Stack:
    """Returns the frames of a stack.

    Args:
        space: the process's.
        registers: by DWARF number, 0 to 16.
        is_exact: the instruction pointer is where a signal struck, no return address.
    """
    end = time.monotonic() + MAX_SECONDS
    current: Registers = list(registers)
    frames: list[StackFrame] = []
    seen: set[tuple[int, int]] = set()
    while True:
        address, stack_pointer = current[IP], current[SP]
        if address is None or stack_pointer is None or len(frames) >= MAX_FRAMES:
            return Stack(frames, f"there are more than {MAX_FRAMES} frames")
        if time.monotonic() > end:
            return Stack(frames, f"unwinding takes longer than {MAX_SECONDS:.0f} s")
        module = space.module_at(address if is_exact else address - 1)
        row: FrameRow | None = None
        try:
            row = _row(module, address if is_exact else address - 1)
            cfa, caller = _caller(space, module, row, current, is_exact)
        except CannotUnwindError as error:
            frames.append(StackFrame(address, is_exact, stack_pointer, None, module, _is_signal(row)))
            return Stack(frames, str(error))
        is_signal_frame = _is_signal(row) or (row is None and codeframes.is_sigreturn(space, address))
        frames.append(StackFrame(address, is_exact, stack_pointer, cfa, module, is_signal_frame))
        if not caller or not caller[IP]:
            return Stack(frames, "")
        problem = _problem(space, caller, is_exact=is_signal_frame)
        state = (caller[IP] or 0, caller[SP] or 0)
        if problem or state in seen:
            return Stack(frames, problem or "the frames of the stack form a circle")
        seen.add(state)
        current, is_exact = caller, is_signal_frame


def _is_signal(row: FrameRow | None) -> bool:
    return row is not None and row.is_signal_frame


def _row(module: Module | None, address: int) -> FrameRow | None:
    try:
        return module.frame_row(address) if module else None
    except SymbolError as error:
        raise CannotUnwindError(str(error)) from error


def _caller(
    space: AddressSpace, module: Module | None, row: FrameRow | None, registers: Registers, is_exact: bool
) -> tuple[int, Registers]:
    """Returns a frame's CFA, and the registers in its caller: none of them, if it is the outermost.

    Raises:
        CannotUnwindError: they cannot be found.
    """
    try:
        if row is None:
            return codeframes.caller(space, module, registers, is_exact=is_exact)
        return apply_row(space, row, module.load_bias if module else 0, registers)
    except (IndexError, ValueError, ZeroDivisionError) as error:
        address = registers[IP] or 0
        raise CannotUnwindError(f"the frame at {address:#x} in {space.describe(address)}: {error}") from error


def _problem(space: AddressSpace, caller: Registers, *, is_exact: bool) -> str:
    """Tells why a caller cannot be; "" if it can."""
    address = caller[IP] or 0
    if is_exact or space.is_code(address - 1):
        return ""
    return f"the return address {address:#x} is not in code, but in {space.describe(address)}"


def apply_row(
    space: AddressSpace, row: FrameRow, load_bias: int, registers: Registers
) -> tuple[int, Registers]:
    """Returns the CFA and the caller's registers, as the row says; [] if there is no caller.

    Raises:
        IndexError, ValueError, ZeroDivisionError: what they are found by is not known.
    """
    if row.cfa_expression:
        cfa = evaluate(row.cfa_expression, registers, space.read_number, load_bias)
    else:
        base = registers[row.cfa_register]
        if base is None:
            raise ValueError(f"register {row.cfa_register}, which its address is relative to, is not known")
        cfa = base + row.cfa_offset & _MASK
        if not row.is_signal_frame and row.cfa_register in (6, SP) and cfa <= (registers[SP] or 0):
            raise ValueError(f"its end at {cfa:#x} is not above the stack pointer")
    found: Registers = [None] * REGISTER_COUNT
    for register in range(REGISTER_COUNT):
        rule = row.rules.get(register)
        if rule is not None and register != IP:
            found[register] = _optional(space, rule, register, registers, cfa, load_bias)
        elif register in _PRESERVED:
            found[register] = registers[register]
    if SP not in row.rules:
        found[SP] = cfa
    rule = row.rules.get(row.return_register)
    if rule is None:
        raise ValueError("its call frame information names no return address")
    if rule.kind == RuleKind.UNDEFINED:
        return cfa, []
    found[IP] = _apply(space, rule, row.return_register, registers, cfa, load_bias)
    if found[SP] is None or found[IP] is None:
        raise ValueError("its caller's stack pointer or return address is not known")
    return cfa, found


def _optional(
    space: AddressSpace, rule: Rule, register: int, registers: Registers, cfa: int, load_bias: int
) -> int | None:
    """Returns a register's value in the caller; None, if what it is found by is not known."""
    try:
        return _apply(space, rule, register, registers, cfa, load_bias)
    except (IndexError, ValueError, ZeroDivisionError):
        return None


def _apply(
    space: AddressSpace, rule: Rule, register: int, registers: Registers, cfa: int, load_bias: int
) -> int | None:
    if rule.kind == RuleKind.OFFSET:
        return space.read_number(cfa + rule.number & _MASK)
    if rule.kind == RuleKind.VAL_OFFSET:
        return cfa + rule.number & _MASK
    if rule.kind == RuleKind.EXPRESSION:
        return space.read_number(evaluate(rule.expression, registers, space.read_number, load_bias, cfa))
    if rule.kind == RuleKind.VAL_EXPRESSION:
        return evaluate(rule.expression, registers, space.read_number, load_bias, cfa)
    if rule.kind == RuleKind.UNDEFINED:
        return None
    number = rule.number if rule.kind == RuleKind.REGISTER else register
    return registers[number] if number < REGISTER_COUNT else None
