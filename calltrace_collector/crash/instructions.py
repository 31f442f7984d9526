"""What little of x86-64's machine code has to be understood: calls, prologues, addresses of operands.

Format: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, chapter 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_CALL_BYTES = 7
"""The longest call instruction, less a prefix that does not matter here."""

SHORT_CODE_BYTES = 8
"""As many as are looked at where code has no call frame information."""

SIGRETURN = bytes.fromhex("48c7c00f0000000f05")
"""mov $15, %rax; syscall: where signal handlers return to."""

UNDEFINED = b"\x0f\x0b"
"""ud2: what compilers put where execution must not come, and what __builtin_trap() is."""

_ENDBR64 = b"\xf3\x0f\x1e\xfa"
_PUSH_FRAME_POINTER = b"\x55"
_SET_FRAME_POINTER = (b"\x48\x89\xe5", b"\x48\x8b\xec")
_PREFIXES = b"\x66\x67\xf2\xf3\x2e\x36\x3e\x26\x64\x65"

# Numbers of registers in instructions, as DWARF numbers.
_DWARF = (0, 2, 1, 3, 7, 6, 4, 5, *range(8, 16))
_IP = 16


def ends_in_call(code: bytes) -> bool:
    """Tells whether the bytes before a return address end in a call: call rel32, or call r/m64."""
    if code[-5:-4] == b"\xe8":
        return True
    return any(
        len(code) >= size and code[-size] == 0xFF and _size_of_indirect(code[1 - size :]) == size
        for size in (2, 3, 4, 6, 7)
    )


def _size_of_indirect(rest: bytes) -> int:
    """Returns the size of the call instruction FF /2, given what follows its first byte; 0 if it is none."""
    mode, register, base = _split(rest[0])
    if register != 2:
        return 0
    if mode == 3:
        return 2
    has_scale = base == 4
    displacement = (0, 1, 4)[mode]
    if mode == 0 and (base == 5 or (has_scale and len(rest) > 1 and rest[1] & 7 == 5)):
        displacement = 4
    return 2 + has_scale + displacement


def is_jump_stub(code: bytes) -> bool:
    """Tells whether the code is of a stub in a .plt section: jmp *table(%rip)."""
    code = code.removeprefix(_ENDBR64)
    return code[:2] == b"\xff\x25" or code[:3] == b"\xf2\xff\x25"


def frame_pointer_prologue(code: bytes) -> tuple[int, int] | None:
    """Returns where a function has saved the frame pointer, and has set it; None if it begins otherwise.

    Args:
        code: from the function's start on.

    Returns:
        Offsets from the start: after push %rbp, and after mov %rsp, %rbp.
    """
    start = len(_ENDBR64) if code.startswith(_ENDBR64) else 0
    if (
        code[start : start + 1] != _PUSH_FRAME_POINTER
        or code[start + 1 : start + 4] not in _SET_FRAME_POINTER
    ):
        return None
    return start + 1, start + 4


def leaves_function(code: bytes) -> bool:
    """Tells whether the code is a return, or a jump that may be to another function."""
    return code[:1] in (b"\xc3", b"\xc2", b"\xe9", b"\xeb", b"\xff") or code[:2] == b"\xf3\xc3"


@dataclass(frozen=True, slots=True)
class Operand:
    """The operand of an instruction that may be in memory.

    Attributes:
        opcode: of the instruction: 0x00 to 0xff, or 0x0f00 to 0x0fff.
        extension: the middle field of its ModRM byte.
        size_bytes: of the operand as general instructions have it.
        register: its register; None if it is in memory.
        address: where in memory; None in a register, or if that depends on what is not known.
    """

    opcode: int
    extension: int
    size_bytes: int
    register: int | None
    address: int | None


def decode_operand(code: bytes, registers: Sequence[int], bases: tuple[int, int]) -> Operand | None:
    """Decodes an instruction as far as its operand.

    Args:
        code: from the instruction on.
        registers: by DWARF number, 0 to 16.
        bases: of the segments fs and gs.

    Returns:
        None for an instruction that has none, or is of a kind that is not decoded here.
    """
    try:
        return _Decoder(code, registers, bases).operand()
    except IndexError:
        return None


class _Decoder:
    def __init__(self, code: bytes, registers: Sequence[int], bases: tuple[int, int]) -> None:
        self._code = code
        self._registers = registers
        self._bases = bases
        self._position = 0
        self._base = 0

    def _byte(self) -> int:
        self._position += 1
        return self._code[self._position - 1]

    def operand(self) -> Operand | None:
        """Decodes; raises IndexError where the code ends."""
        is_short_address, size, byte = False, 4, self._byte()
        while byte in _PREFIXES:
            is_short_address |= byte == 0x67
            size = 2 if byte == 0x66 else size
            self._base = self._bases[byte - 0x64] if byte in (0x64, 0x65) else self._base
            byte = self._byte()
        rex = 0
        if byte & 0xF0 == 0x40:
            rex, byte = byte, self._byte()
            size = 8 if rex & 8 else size
        if is_short_address:
            return None
        if byte in (0xC4, 0xC5):  # VEX, which says what prefixes say besides, upside down
            opcode, rex = self._vector_opcode(byte)
        else:
            opcode = byte if byte != 0x0F else 0x0F00 | self._byte()
        immediate = _IMMEDIATE_BYTES.get(opcode)
        if immediate is None:
            return None
        size = 1 if opcode in _BYTE_OPERANDS else size
        mode, extension, base = _split(self._byte())
        if opcode in (0xF6, 0xF7) and extension < 2:
            immediate = 1 if opcode == 0xF6 else 4
        if mode == 3:
            return Operand(opcode, extension, size, _DWARF[base | (rex & 1) << 3], None)
        return Operand(opcode, extension, size, None, self._address(mode, base, rex, min(size, immediate)))

    def _vector_opcode(self, first: int) -> tuple[int, int]:
        """Reads the rest of a VEX prefix, and the opcode; returns it, and what REX would have said."""
        rex = 0
        if first == 0xC4:
            bits = self._byte()
            if bits & 0x1F != 1:  # other maps of opcodes
                return -1, 0
            rex = ~bits >> 5 & 7
        self._byte()
        return 0x0F00 | self._byte(), rex

    def _address(self, mode: int, base: int, rex: int, immediate: int) -> int:
        """Returns the address that a ModRM byte of that mode and base stands for."""
        value = self._base
        no_base = mode == 0 and base == 5
        is_relative = no_base
        if base == 4:
            scale, index, base = _split(self._byte())
            index |= (rex & 2) << 2
            value += self._registers[_DWARF[index]] << scale if index != 4 else 0
            no_base = mode == 0 and base == 5
            is_relative = False
        if not no_base:
            value += self._registers[_DWARF[base | (rex & 1) << 3]]
        size = 4 if no_base or mode == 2 else mode
        end = self._position + size
        value += int.from_bytes(self._code[self._position : end], "little", signed=True)
        if end > len(self._code):
            raise IndexError
        if is_relative:
            value += self._registers[_IP] + end + immediate
        return value & (1 << 64) - 1


def _split(byte: int) -> tuple[int, int, int]:
    return byte >> 6, byte >> 3 & 7, byte & 7


def _immediates() -> dict[int, int]:
    """Opcodes that have a ModRM byte, and how many bytes follow the address."""
    arithmetic = {row + column: 0 for row in range(0, 0x40, 8) for column in range(4)}
    general = dict.fromkeys((0x63, *range(0x84, 0x8F), 0xD0, 0xD1, 0xD2, 0xD3, 0xF6, 0xF7, 0xFE, 0xFF), 0)
    constants = {0x69: 4, 0x6B: 1, 0x80: 1, 0x81: 4, 0x83: 1, 0xC0: 1, 0xC1: 1, 0xC6: 1, 0xC7: 4}
    moves = (0x10, 0x11, 0x12, 0x13, 0x16, 0x17, 0x28, 0x29, 0x2B, 0x2E, 0x2F, 0x6E, 0x6F, 0x7E, 0x7F, 0xD6)
    others = (*range(0x40, 0x50), *range(0x54, 0x70), 0x74, 0x75, 0x76, *range(0x90, 0xA0), 0xAF, 0xB6, 0xB7)
    more = (0xBE, 0xBF, 0xC0, 0xC1, 0xE7, 0xEF, 0xF0, *range(0xD8, 0xE0), 0xFA, 0xFB, 0xFE, 0xD4, 0xEB)
    return arithmetic | general | constants | {0x0F00 | code: 0 for code in (*moves, *others, *more)}


_IMMEDIATE_BYTES = _immediates()
_BYTE_OPERANDS = frozenset(
    {
        *(row + column for row in range(0, 0x40, 8) for column in (0, 2)),
        *(0x80, 0x84, 0x86, 0x88, 0x8A, 0xC0, 0xC6, 0xD0, 0xD2, 0xF6, 0xFE),
    }
)
