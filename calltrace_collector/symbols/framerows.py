"""Rows of call frame information: where a function's caller and the registers it had are found.

Format: DWARF 5, section 6.4.2; LSB Core, "Exception Frames", for GNU's instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from calltrace_collector.symbols.leb128 import signed, unsigned

REGISTER_COUNT = 17
"""Registers that matter to unwinding x86-64: 0 to 15 the general ones, 16 the return address."""

_MAX_REMEMBERED = 256  # compilers nest one or two


class RuleKind(Enum):
    """How a register's value in the caller is found."""

    UNDEFINED = auto()  # it is lost
    SAME_VALUE = auto()  # it is unchanged
    OFFSET = auto()  # it was saved at the CFA plus the number
    VAL_OFFSET = auto()  # it is the CFA plus the number
    REGISTER = auto()  # it is in the register of that number
    EXPRESSION = auto()  # it was saved where the expression says
    VAL_EXPRESSION = auto()  # it is what the expression says


@dataclass(frozen=True, slots=True)
class Rule:
    """How to find a register's value in the caller."""

    kind: RuleKind
    number: int = 0
    expression: bytes = b""


@dataclass(frozen=True, slots=True)
class FrameRow:
    """How to get from a frame to its caller's, at one instruction.

    The canonical frame address (CFA) is `cfa_register` plus `cfa_offset`, or what `cfa_expression` says if
    that is not empty. Registers without a rule are as the ABI says: those that functions preserve have the
    same value, the others are lost.

    Attributes:
        rules: by register.
        return_register: the column that stands for the return address.
        is_signal_frame: the caller was interrupted, not called: the address found is that of the
            instruction it was to go on with.
    """

    cfa_register: int
    cfa_offset: int
    cfa_expression: bytes
    rules: Mapping[int, Rule]
    return_register: int
    is_signal_frame: bool


@dataclass(frozen=True, slots=True)
class CommonInformation:
    """What several functions have in common: a CIE.

    Attributes:
        pointer_encoding: of the addresses in the functions' entries (DW_EH_PE_*).
        has_augmentation: their entries have data of a length that they say.
        instructions: those that every function's begin with.
    """

    code_alignment: int
    data_alignment: int
    return_register: int
    pointer_encoding: int
    has_augmentation: bool
    is_signal_frame: bool
    instructions: bytes


@dataclass(slots=True)
class _State:
    cfa_register: int = -1
    cfa_offset: int = 0
    cfa_expression: bytes = b""
    rules: dict[int, Rule] = field(default_factory=dict)

    def copy(self) -> _State:
        return _State(self.cfa_register, self.cfa_offset, self.cfa_expression, dict(self.rules))


def find_row(
    common: CommonInformation,
    instructions: bytes,
    start: int,
    address: int,
    read_location: Callable[[int], tuple[int, int]],
) -> FrameRow:
    """Runs a function's instructions up to an address.

    Args:
        common: the function's CIE.
        instructions: the function's own.
        start: the function's first address.
        address: of an instruction in it.
        read_location: reads an encoded address at a position of `instructions`; returns it, and the
            position after it.

    Raises:
        IndexError, ValueError: the instructions are damaged, or unknown.
    """
    machine = _Machine(common)
    machine.run(common.instructions, start, address, read_location)
    machine.begin_function()
    machine.run(instructions, start, address, read_location)
    return machine.row()


class _Machine:
    """Executes call frame instructions."""

    def __init__(self, common: CommonInformation) -> None:
        self._common = common
        self._state = _State()
        self._initial = _State()
        self._remembered: list[_State] = []

    def begin_function(self) -> None:
        """Keeps what the CIE's instructions gave, for DW_CFA_restore."""
        self._initial = self._state.copy()

    def row(self) -> FrameRow:
        """Returns the row that the instructions have made; raises ValueError if it has no CFA."""
        state, common = self._state, self._common
        if not state.cfa_expression and not 0 <= state.cfa_register < REGISTER_COUNT:
            raise ValueError("call frame instructions define no frame address")
        return FrameRow(
            state.cfa_register,
            state.cfa_offset,
            state.cfa_expression,
            state.rules,
            common.return_register,
            common.is_signal_frame,
        )

    def run(
        self,
        data: bytes,
        location: int,
        address: int,
        read_location: Callable[[int], tuple[int, int]],
    ) -> None:
        """Executes up to the first instruction that is about what comes after the address."""
        position, end = 0, len(data)
        alignment = self._common.code_alignment
        while position < end:
            code = data[position]
            position += 1
            operand = code & 0x3F
            if code >= 0xC0:  # DW_CFA_restore
                self._restore(operand)
            elif code >= 0x80:  # DW_CFA_offset
                number, position = unsigned(data, position)
                self._set(operand, Rule(RuleKind.OFFSET, number * self._common.data_alignment))
            elif code >= 0x40:  # DW_CFA_advance_loc
                location += operand * alignment
            elif code in _ADVANCE_SIZES:  # DW_CFA_advance_loc1, 2, 4, MIPS_advance_loc8
                after = position + _ADVANCE_SIZES[code]
                location += int.from_bytes(data[position:after], "little") * alignment
                position = after
            elif code == 0x01:  # DW_CFA_set_loc
                location, position = read_location(position)
            else:
                position = self._run_other(code, data, position)
            if location > address:
                return
        if position > end:
            raise IndexError("call frame instructions are cut off")

    def _run_other(self, code: int, data: bytes, position: int) -> int:
        """Executes an instruction that is not of the most frequent ones; returns the position after it."""
        state = self._state
        if code == 0x00:  # DW_CFA_nop
            return position
        if code == 0x0A:  # DW_CFA_remember_state
            if len(self._remembered) == _MAX_REMEMBERED:
                raise ValueError("call frame instructions remember too many states")
            self._remembered.append(state.copy())
            return position
        if code == 0x0B:  # DW_CFA_restore_state
            if not self._remembered:
                raise ValueError("call frame instructions restore a state that was not remembered")
            self._state = self._remembered.pop()
            return position
        if code in _CFA_INSTRUCTIONS:
            return self._define_cfa(code, data, position)
        if code == 0x2E:  # DW_CFA_GNU_args_size, which only matters to landing pads
            return unsigned(data, position)[1]
        return self._define_rule(code, data, position)

    def _define_cfa(self, code: int, data: bytes, position: int) -> int:
        state, scale = self._state, self._common.data_alignment
        if code == 0x0F:  # DW_CFA_def_cfa_expression
            state.cfa_expression, position = _block(data, position)
            if not state.cfa_expression:
                raise ValueError("the expression of a frame address is empty")
            return position
        if code in (0x0C, 0x0D, 0x12):  # DW_CFA_def_cfa, def_cfa_register, def_cfa_sf
            state.cfa_register, position = unsigned(data, position)
            state.cfa_expression = b""
        elif state.cfa_expression:
            raise ValueError("an offset is given for a frame address that is an expression")
        if code in (0x0C, 0x0E):  # DW_CFA_def_cfa, def_cfa_offset
            state.cfa_offset, position = unsigned(data, position)
        elif code != 0x0D:  # DW_CFA_def_cfa_sf, def_cfa_offset_sf
            number, position = signed(data, position)
            state.cfa_offset = number * scale
        return position

    def _define_rule(self, code: int, data: bytes, position: int) -> int:
        scale = self._common.data_alignment
        register, position = unsigned(data, position)
        if code in _PLAIN_RULES:
            self._set(register, Rule(_PLAIN_RULES[code]))
        elif code == 0x06:  # DW_CFA_restore_extended
            self._restore(register)
        elif code in (0x10, 0x16):  # DW_CFA_expression, val_expression
            expression, position = _block(data, position)
            kind = RuleKind.EXPRESSION if code == 0x10 else RuleKind.VAL_EXPRESSION
            self._set(register, Rule(kind, expression=expression))
        elif code in (0x05, 0x11, 0x2F):  # DW_CFA_offset_extended, its _sf, GNU_negative_offset_extended
            number, position = (signed if code == 0x11 else unsigned)(data, position)
            self._set(register, Rule(RuleKind.OFFSET, (-number if code == 0x2F else number) * scale))
        elif code in (0x14, 0x15):  # DW_CFA_val_offset, val_offset_sf
            number, position = (signed if code == 0x15 else unsigned)(data, position)
            self._set(register, Rule(RuleKind.VAL_OFFSET, number * scale))
        elif code == 0x09:  # DW_CFA_register
            number, position = unsigned(data, position)
            self._set(register, Rule(RuleKind.REGISTER, number))
        else:
            raise ValueError(f"call frame instruction {code:#x} is unknown")
        return position

    def _set(self, register: int, rule: Rule) -> None:
        if register < REGISTER_COUNT or register == self._common.return_register:
            self._state.rules[register] = rule

    def _restore(self, register: int) -> None:
        self._state.rules.pop(register, None)
        if register in self._initial.rules:
            self._state.rules[register] = self._initial.rules[register]


_ADVANCE_SIZES = {0x02: 1, 0x03: 2, 0x04: 4, 0x1D: 8}
_CFA_INSTRUCTIONS = frozenset({0x0C, 0x0D, 0x0E, 0x0F, 0x12, 0x13})
_PLAIN_RULES = {0x07: RuleKind.UNDEFINED, 0x08: RuleKind.SAME_VALUE}


def _block(data: bytes, position: int) -> tuple[bytes, int]:
    """Reads an expression; returns it, and the position after it."""
    size, position = unsigned(data, position)
    if position + size > len(data):
        raise IndexError("an expression of call frame instructions is cut off")
    return data[position : position + size], position + size
