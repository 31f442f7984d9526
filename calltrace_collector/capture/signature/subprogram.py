"""What is known of a function, for the making of plans."""

from __future__ import annotations

from dataclasses import dataclass

from calltrace_collector.capture.signature.pieces import Piece, ResultPiece
from calltrace_collector.capture.signature.text_access import TextAccess
from calltrace_collector.model.capture import Type

__all__ = ["Parameter", "ReturnValue", "SubprogramInfo"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function.

    Attributes:
        name: "" if it has none.
        type: as declared; of one that is passed by invisible reference, the type of the object.
        pieces: where it is on entry, lowest byte first; together they have the type's size (what is missing
            at its end is padding) or, by invisible reference, the 8 bytes of the object's address. None: not
            known, `reason` says why. () for a type that takes no place (an empty struct): its value is known
            without looking.
        reason: why there are no pieces; None where there are.
        invisible_reference: `pieces` hold the address of the object and not the object.
        artificial: the compiler has added it, as `this`.
        text: how to get at the characters if it is text (or a reference to text); else None.
        is_skipped_unused: callers do not pass it if the function does not use it: what is in its place is
            the parameter only if the function keeps it for after the hook.
    """

    name: str
    type: Type
    pieces: tuple[Piece, ...] | None
    reason: str | None = None
    invisible_reference: bool = False
    artificial: bool = False
    text: TextAccess | None = None
    is_skipped_unused: bool = False


@dataclass(frozen=True, slots=True)
class ReturnValue:
    """What a function returns.

    Attributes:
        type: as declared.
        pieces: where it is after `ret`, lowest byte first: one Memory, or registers that together have the
            type's size, but for padding at its end. None: not known, `reason` says why. () for a type that
            takes no place.
        reason: why there are no pieces; None where there are.
        text: how to get at the characters if it is text (or a reference to text); else None.
    """

    type: Type
    pieces: tuple[ResultPiece, ...] | None
    reason: str | None = None
    text: TextAccess | None = None


@dataclass(frozen=True, slots=True)
class SubprogramInfo:
    """A function.

    Attributes:
        name: as the source spells it.
        linkage_name: as the linker knows it; for C, its name.
        demangled: the linkage name demangled, with parameters: "ns::parse(char const*, int)".
        low_pc: its first instruction, where it is entered.
        ranges: all of its parts (start, end), sorted; a `.cold` part does not begin at `low_pc`.
        parameters: in order; of a function with `...`, the named ones.
        returns: None if it returns nothing.
    """

    name: str
    linkage_name: str
    demangled: str
    low_pc: int
    ranges: tuple[tuple[int, int], ...]
    parameters: tuple[Parameter, ...]
    returns: ReturnValue | None
