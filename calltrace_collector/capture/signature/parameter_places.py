"""Where parameters are on entry: by the debug information and by the ABI, which have to agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from calltrace_collector.capture.signature.abi import Places, Shape, result_pieces
from calltrace_collector.capture.signature.declared import Declared, DeclaredParameter
from calltrace_collector.capture.signature.dropped import restored
from calltrace_collector.capture.signature.locations import EntryLocation, entry_location
from calltrace_collector.capture.signature.pieces import Memory, Piece, Register, Stack, Xmm
from calltrace_collector.capture.signature.subprogram import Parameter, ReturnValue
from calltrace_collector.capture.signature.text_access import TextAccess
from calltrace_collector.capture.signature.typed import Typed
from calltrace_collector.capture.signature.types import TypeReader
from calltrace_collector.model.capture import Type, TypeKind

__all__ = ["Standing", "parameters_of", "result_of", "without_places"]

_BY_ADDRESS = Shape(0, 1, (), by_reference=True)
_NULL_REASON = "it is always null, and compilers need not pass it"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a function is to be trusted to follow the ABI.

    Attributes:
        doubt: why its parameters need not be where the ABI has them; None if they are there.
        result_doubt: why it need not return what its type says; None if it does.
        names: the types of its parameters but for artificial ones, as its mangled name spells them; None
            where it does not.
        may_lose: the compiler may have removed parameters; those are nowhere then.
        has_seen_callers: the compiler has seen code that calls it, which need not pass what it does not use.
    """

    doubt: str | None = None
    result_doubt: str | None = None
    names: tuple[str, ...] | None = None
    may_lose: bool = False
    has_seen_callers: bool = True


def result_of(reader: TypeReader, function: Declared, standing: Standing) -> ReturnValue | None:
    """Returns what the function returns; None if that is nothing.

    Raises:
        IndexError, KeyError, ValueError, SymbolError: the entries are damaged.
    """
    typed = reader.of_entry(function.result_unit, function.result_entry)
    if typed.type.kind is TypeKind.VOID:
        return None
    found = function.doubt or result_pieces(typed.shape)
    reason = _NULL_REASON if typed.is_null else standing.result_doubt
    if isinstance(found, str) or reason is not None:
        return ReturnValue(typed.type, None, reason or str(found))
    in_memory = any(isinstance(piece, Memory) for piece in found)
    return ReturnValue(typed.type, found, text=_text(typed, by_address=in_memory))


def parameters_of(
    reader: TypeReader, function: Declared, low_pc: int, standing: Standing
) -> tuple[Parameter, ...]:
    """Returns the parameters and where they are.

    Raises:
        IndexError, KeyError, ValueError, SymbolError: the entries are damaged.
    """
    result = reader.of_entry(function.result_unit, function.result_entry)
    is_void = result.type.kind is TypeKind.VOID
    returned = () if is_void else result_pieces(result.shape)
    has_hidden_pointer = not isinstance(returned, str) and any(isinstance(one, Memory) for one in returned)
    places = Places(has_hidden_pointer=has_hidden_pointer, clang=function.clang)
    if result.shape.doubt is not None and not is_void:
        places.doubt("how the function returns its result is not known")
    declared = _all_parameters(function, standing.names, places)
    reason = function.doubt or standing.doubt
    typed = [_typed(reader, one) for one in declared]
    said = [_said(function, *pair, low_pc) for pair in zip(declared, typed, strict=True)]
    is_optimized = bool(function.clang) and (function.is_optimized or _looks_optimized(typed, said))
    if standing.may_lose and is_optimized and not all(map(_is_kept, typed, said)):
        reason = reason or "the compiler may have changed the parameters of a function that only it calls"
    if reason is not None:
        places.doubt(reason)
    found = tuple(
        _parameter(*each, places, promotes=function.promotes)
        for each in zip(declared, typed, said, strict=True)
    )
    if not (is_optimized and standing.has_seen_callers):
        return found
    return tuple(
        replace(one, is_skipped_unused=_is_skipped(one, place))
        for one, place in zip(found, said, strict=True)
    )


def _looks_optimized(typed: Sequence[Typed], said: Sequence[EntryLocation]) -> bool:
    """Tells whether a parameter is not where clang keeps it without optimization."""
    return not all(one.is_in_frame or each.shape.by_reference for each, one in zip(typed, said, strict=True))


def _is_kept(typed: Typed, said: EntryLocation) -> bool:
    """Tells whether a parameter is sure to be there still, of a function whose callers clang all knows.

    What is in memory only may have been put there as a constant, and be no parameter any more.
    """
    return typed.shape.is_empty or (said.is_in_register and not typed.is_null)


def _is_skipped(parameter: Parameter, said: EntryLocation) -> bool:
    """Tells whether callers leave the parameter out where clang sees that the function does not use it.

    What is kept in the frame is used, and so is what is loaded from the stack into a register. What just
    stays on the stack need not be: then not even structs are copied there.
    """
    if any(isinstance(piece, Stack) for piece in parameter.pieces or ()):
        return not said.is_in_register
    return not (said.is_in_frame and said.pieces is None)


def _all_parameters(
    function: Declared, names: tuple[str, ...] | None, places: Places
) -> tuple[DeclaredParameter, ...]:
    """Returns the parameters with those that the debug information lacks."""
    explicit = sum(not one.artificial for one in function.parameters)
    expected = {
        count for count in (function.expected, len(names) if names is not None else None) if count is not None
    }
    if expected <= {explicit}:
        return function.parameters
    if function.clang and names is not None and expected == {len(names)}:
        found = restored(function.unit, function.parameters, names)
        if found is not None:
            return found
    places.doubt("the debug information lacks a parameter of the function")
    return function.parameters


def _typed(reader: TypeReader, declared: DeclaredParameter) -> Typed:
    if declared.dropped:
        return Typed(Type(TypeKind.OTHER, declared.dropped), Shape(0, 1, (), by_reference=True))
    return reader.of_entry(declared.unit, declared.type_entry)


def _said(function: Declared, declared: DeclaredParameter, typed: Typed, low_pc: int) -> EntryLocation:
    if declared.location is None:
        return EntryLocation()
    return entry_location(function.unit, declared.location, low_pc, typed.shape.size, function.frame_base)


def _parameter(
    declared: DeclaredParameter, typed: Typed, said: EntryLocation, places: Places, *, promotes: bool
) -> Parameter:
    shape = typed.shape
    if shape.doubt is not None and said.is_by_address:
        # Of an object of a class that is not described, the address is passed, and nothing else.
        places.next(_BY_ADDRESS)
        return _unseen(declared, typed, shape.doubt)
    if typed.is_null:
        places.skip_null()
        return _unseen(declared, typed, _NULL_REASON)
    by_abi, by_debug = places.next(shape), said.pieces
    if shape.by_reference:
        by_debug = None if said.address is None else (Register(said.address, 8),)
    pieces, reason = _agreed(by_abi, by_debug)
    if pieces is not None and isinstance(by_abi, str):
        places.found(pieces)
    if declared.dropped:
        pieces, reason = None, "the debug information does not describe it"
    if promotes and typed.type.kind is TypeKind.FLOAT and shape.size == 4:
        pieces, reason = None, "a function without prototype gets it as a double"
    return Parameter(
        declared.name,
        typed.type,
        pieces,
        reason,
        shape.by_reference,
        declared.artificial,
        _text(typed, by_address=shape.by_reference),
    )


def _unseen(declared: DeclaredParameter, typed: Typed, reason: str) -> Parameter:
    """Returns a parameter of which only the name and the type are known."""
    return Parameter(declared.name, typed.type, None, reason, typed.shape.by_reference, declared.artificial)


def _agreed(
    by_abi: tuple[Piece, ...] | str, by_debug: tuple[Piece, ...] | None
) -> tuple[tuple[Piece, ...] | None, str | None]:
    """Returns the pieces, or why they are not known."""
    if isinstance(by_abi, str):
        return by_debug, by_abi if by_debug is None else None
    if not by_abi or by_debug is None or _places(by_abi) == _places(by_debug):
        return by_abi, None
    return None, "the debug information has it elsewhere than the ABI"


def _places(pieces: tuple[Piece, ...]) -> list[tuple[int, ...]]:
    """Returns where pieces are, without how long they are."""
    found: list[tuple[int, ...]] = []
    for piece in pieces:
        match piece:
            case Register():
                found.append((0, piece.number))
            case Xmm():
                found.append((1, piece.number, piece.half))
            case Stack():
                found.append((2, piece.offset))
    return found


def _text(typed: Typed, *, by_address: bool) -> TextAccess | None:
    if typed.referred is not None:
        return TextAccess(typed.referred, by_address=True)
    return TextAccess(typed.text, by_address) if typed.text is not None else None


def without_places(reader: TypeReader, declared: DeclaredParameter, reason: str) -> Parameter:
    """Returns a parameter of which only the name and the type are known.

    Raises:
        IndexError, KeyError, ValueError, SymbolError: the entries are damaged.
    """
    return _unseen(declared, reader.of_entry(declared.unit, declared.type_entry), reason)
