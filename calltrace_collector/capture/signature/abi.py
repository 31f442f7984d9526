"""How values are passed to functions and returned: the System V ABI for x86-64, as gcc and clang follow it.

Source: System V ABI, AMD64 supplement, sections 3.2.3 (classification, passing, returning) and, for what C++
adds, the Itanium C++ ABI, section 3.1 (value parameters). Where compilers are known to differ, or a type is
too unusual to be sure, the place is not known, and neither are those of the parameters behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from calltrace_collector.capture.machine.registers import ARGUMENTS, RESULTS
from calltrace_collector.capture.signature.pieces import (
    X87,
    Memory,
    Piece,
    Register,
    ResultPiece,
    Stack,
    Xmm,
)

__all__ = ["DIRECT_BYTES", "Leaf", "LeafClass", "Places", "Shape", "result_pieces"]

_XMM_COUNT = 8
DIRECT_BYTES = 16
"""Larger values are in memory, unless they are vectors."""
_FIRST_ARGUMENT = 8  # from the stack pointer on entry, where the return address is
_STACK_ALIGNMENT = 16
_ALIGNING_CLANG = 18  # the first version that aligns 16-byte integers on the stack
_FOLLOWS = "it follows a parameter whose place is not known"


class LeafClass(Enum):
    """The class of a scalar."""

    INTEGER = 1
    SSE = 2
    VECTOR = 3  # 16 bytes in one register
    X87 = 4
    COMPLEX_X87 = 5


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar in a value: its offset and size in bytes, what its offset is a multiple of, and its class."""

    offset: int
    size: int
    alignment: int
    kind: LeafClass


@dataclass(frozen=True, slots=True)
class Shape:
    """What matters of a type for where its values are.

    Attributes:
        size: in bytes.
        alignment: in bytes.
        leaves: the scalars of a value of at most 16 bytes; of a larger one, the first.
        by_reference: C++ says that the address of the object is passed.
        doubt: why it is not known how it is passed; None where it is.
        is_aggregate: it is a struct, class or union.
    """

    size: int
    alignment: int
    leaves: tuple[Leaf, ...]
    by_reference: bool = False
    doubt: str | None = None
    is_aggregate: bool = False

    @property
    def is_empty(self) -> bool:
        """It takes neither a register nor room on the stack."""
        return not self.leaves and self.doubt is None and not self.by_reference and self.size <= 8

    def word(self, index: int) -> tuple[int, int]:
        """Returns how many bytes of the value a word of 8 bytes has; and how many, the last, are padding."""
        start, end = 8 * index, min(8 * index + 8, self.size)
        ends = (min(leaf.offset + leaf.size, end) for leaf in self.leaves if leaf.offset < end)
        meant = max(ends, default=end)
        return end - start, end - meant if self.is_aggregate and meant > start else 0

    @property
    def is_in_memory(self) -> bool:
        """It is of class MEMORY as a whole."""
        return self.size > DIRECT_BYTES or any(leaf.offset % leaf.alignment for leaf in self.leaves)


_ADDRESS = Shape(8, 8, (Leaf(0, 8, 8, LeafClass.INTEGER),))


class Places:
    """Gives parameters their places, in order.

    Args:
        has_hidden_pointer: the result is in memory, its address in the first register.
        clang: the version of clang that has compiled it; 0 for another compiler.
    """

    def __init__(self, *, has_hidden_pointer: bool, clang: int) -> None:
        self._general = 1 if has_hidden_pointer else 0
        self._xmm = 0
        self._stack = _FIRST_ARGUMENT
        self._clang = clang
        self._doubt: str | None = None
        self._stack_doubt = False

    def doubt(self, reason: str) -> None:
        """From here on, no place is known."""
        self._doubt = self._doubt or reason

    def found(self, pieces: tuple[Piece, ...]) -> None:
        """Goes on behind a parameter on the stack that the debug information has found."""
        if self._stack_doubt and len(pieces) == 1 and isinstance(pieces[0], Stack):
            self._stack_doubt = False
            self._stack = pieces[0].offset + -(-pieces[0].size // 8) * 8

    def skip_null(self) -> None:
        """Passes a std::nullptr_t, which gcc has in a register, and clang nowhere."""
        if self._clang:
            self.doubt(_FOLLOWS)
        else:
            self.next(_ADDRESS)

    def next(self, shape: Shape) -> tuple[Piece, ...] | str:
        """Returns where the next parameter is: of one passed by reference, its address; or why not known."""
        if self._doubt is None and shape.doubt is not None:
            self._doubt = _FOLLOWS
            return shape.doubt
        if self._doubt is not None:
            return self._doubt
        if shape.by_reference:
            return self._registers(("general",), _ADDRESS) or self._in_memory(_ADDRESS)
        if shape.is_empty:
            return ()
        words = None if shape.is_in_memory else _words(shape)
        if words is None:
            return self._in_memory(shape)
        if isinstance(words, str):
            self.doubt(_FOLLOWS)
            return words
        return self._registers(words, shape) or self._in_memory(shape)

    def _registers(self, words: tuple[str, ...], shape: Shape) -> tuple[Piece, ...] | None:
        """Takes a register for each word, or none."""
        general = words.count("general")
        xmm = len(words) - general - words.count("upper")
        if self._general + general > len(ARGUMENTS) or self._xmm + xmm > _XMM_COUNT:
            return None
        pieces = _in_registers(words, shape, ARGUMENTS[self._general :], self._xmm)
        self._general += general
        self._xmm += xmm
        return pieces

    def _in_memory(self, shape: Shape) -> tuple[Piece, ...] | str:
        if self._stack_doubt:
            return _FOLLOWS
        if shape.alignment > _STACK_ALIGNMENT:
            self._stack_doubt = True
            return "where the compiler puts values of such an alignment is not sure"
        if self._clang and shape.size == 16 and not shape.is_aggregate and LeafClass.INTEGER in _kinds(shape):
            if self._clang < _ALIGNING_CLANG and self._general == len(ARGUMENTS):
                return self._on_stack(shape.size, 8)
            # The older ones put half of it into the last register.
            self.doubt(_FOLLOWS)
            return "clang's versions differ in where they put it"
        return self._on_stack(shape.size, shape.alignment)

    def _on_stack(self, size: int, alignment: int) -> tuple[Piece, ...]:
        # The first argument's address is a multiple of 16.
        above = self._stack - _FIRST_ARGUMENT
        above = -(-above // max(8, alignment)) * max(8, alignment)
        self._stack = _FIRST_ARGUMENT + above + -(-size // 8) * 8
        return (Stack(_FIRST_ARGUMENT + above, size),)


def _kinds(shape: Shape) -> set[LeafClass]:
    return {leaf.kind for leaf in shape.leaves}


def _words(shape: Shape) -> tuple[str, ...] | str | None:
    """Returns what each eight bytes of a value of at most 16 are in; None for memory; or a doubt.

    Words are "general", "xmm", and "upper" for the upper half of the register before. Eight bytes that are
    padding alone, at the end, are in nothing.
    """
    kinds = _kinds(shape)
    if LeafClass.X87 in kinds or LeafClass.COMPLEX_X87 in kinds:
        return None
    if LeafClass.VECTOR in kinds:
        return ("xmm", "upper") if len(shape.leaves) == 1 else "a union of vectors and others"
    words: list[str | None] = [None] * -(-shape.size // 8)
    for leaf in shape.leaves:
        word = "general" if leaf.kind is LeafClass.INTEGER else "xmm"
        for index in range(leaf.offset // 8, (leaf.offset + leaf.size - 1) // 8 + 1):
            if index >= len(words):
                return "a member lies outside its struct"
            words[index] = word if words[index] in (None, word) else "general"
    found = [word for word in words if word is not None]
    if not found or words[0] is None:
        return "its first bytes are padding"
    return tuple(found)


def result_pieces(shape: Shape) -> tuple[ResultPiece, ...] | str:
    """Returns where a result is when the function returns; or why that is not known."""
    if shape.doubt is not None:
        return shape.doubt
    if not shape.by_reference and shape.is_empty:
        return ()
    if shape.by_reference or shape.is_in_memory:
        return (Memory(shape.size),)
    kinds = [leaf.kind for leaf in shape.leaves]
    if LeafClass.COMPLEX_X87 in kinds:
        return "it is in two registers of the x87"
    if LeafClass.X87 in kinds:
        return (X87(shape.size),) if len(kinds) == 1 else "a union with a long double"
    words = _words(shape)
    if isinstance(words, tuple):
        return _in_registers(words, shape, RESULTS, 0)
    return words or "its place is not known"


def _in_registers(
    words: tuple[str, ...], shape: Shape, general: Sequence[int], xmm: int
) -> tuple[Register | Xmm, ...]:
    """Returns what the words of a value are in.

    Args:
        words: as of _words().
        shape: of the value.
        general: numbers of the general registers that are free, in their order.
        xmm: number of the first vector register that is free.
    """
    free = iter(general)
    pieces: list[Register | Xmm] = []
    for index, word in enumerate(words):
        count, padding = shape.word(index)
        if word == "general":
            pieces.append(Register(next(free), count, padding))
        elif word == "xmm":
            pieces.append(Xmm(xmm, 0, count, padding))
            xmm += 1
        else:
            pieces.append(Xmm(xmm - 1, 1, count, padding))
    return tuple(pieces)
