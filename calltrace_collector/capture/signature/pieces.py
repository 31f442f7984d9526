"""Where parameters are when a function is entered, and results when it returns.

Numbers of registers are DWARF's: 0 rax, 1 rdx, 2 rcx, 3 rbx, 4 rsi, 5 rdi, 6 rbp, 7 rsp, 8 to 15 r8 to r15.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["X87", "Memory", "Piece", "Register", "ResultPiece", "Stack", "Xmm"]


@dataclass(frozen=True, slots=True)
class Register:
    """The lowest bytes of a general register.

    Attributes:
        number: of the register.
        size: bytes of the value that are in it, 1 to 8.
        padding: how many of them, the last, mean nothing: compilers do not keep them.
    """

    number: int
    size: int
    padding: int = 0


@dataclass(frozen=True, slots=True)
class Xmm:
    """The lowest bytes of half a vector register.

    Attributes:
        number: 0 to 15.
        half: 0 or 1, the upper one.
        size: bytes of the value that are in it, 1 to 8.
        padding: as in a Register.
    """

    number: int
    half: int
    size: int
    padding: int = 0


@dataclass(frozen=True, slots=True)
class Stack:
    """Bytes of the stack.

    Attributes:
        offset: from the stack pointer on entry; the return address is at 0, the first argument at 8.
        size: bytes of the value that are there.
    """

    offset: int
    size: int


Piece = Register | Xmm | Stack
"""A part of a parameter; its pieces follow each other in the value, none has a gap before it."""


@dataclass(frozen=True, slots=True)
class X87:
    """The top of the x87's stack, 10 bytes; as the part of a type that takes `size` bytes."""

    size: int


@dataclass(frozen=True, slots=True)
class Memory:
    """`size` bytes at the address that the caller has passed in rdi, and that is returned in rax."""

    size: int


ResultPiece = Register | Xmm | X87 | Memory
"""A part of a result; the pieces follow each other in the value."""
