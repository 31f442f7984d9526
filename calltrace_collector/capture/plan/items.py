"""Arguments and results as items: what the agent leaves of them, by which program, or why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Expression, Value
from calltrace_collector.capture.plan import program
from calltrace_collector.capture.plan.parts import Part, bytes_at, words
from calltrace_collector.capture.signature import text_access
from calltrace_collector.capture.signature.pieces import X87, Memory, ResultPiece
from calltrace_collector.capture.signature.subprogram import Parameter, ReturnValue
from calltrace_collector.capture.signature.text_access import TextAccess
from calltrace_collector.model.capture import How, Item, Type, TypeKind

__all__ = ["Captured", "argument", "result", "unavailable"]

_UNDEFINED = "its type is not defined in the debug information"
_TOO_COMPLEX = "it takes too long a computation"
_POINTER_BYTES = 8
_NARROW = (4, 8)  # bytes of a float and a double


@dataclass(frozen=True, slots=True)
class Captured:
    """An item.

    Attributes:
        item: what it is.
        code: the program's part that leaves it; b"" for How.NONE.
    """

    item: Item
    code: bytes = b""


def unavailable(name: str, kind: Type, reason: str) -> Captured:
    """Returns the item of a value that is not known."""
    return Captured(Item(name, kind, How.NONE, unavailable=reason))


def argument(parameter: Parameter, parts: Sequence[Part]) -> Captured:
    """Returns the item of an argument.

    Args:
        parameter: it.
        parts: where its pieces are at the hook.
    """
    source = _Source(parameter.name, parameter.type, parameter.text, parts)
    return _guarded(source, is_address=parameter.invisible_reference)


def result(returned: ReturnValue, pieces: Sequence[ResultPiece], parts: Sequence[Part]) -> Captured:
    """Returns the item of a result.

    Args:
        returned: it.
        pieces: of it.
        parts: where they are at the hook.
    """
    kind = returned.type
    if any(isinstance(piece, X87) for piece in pieces):
        held = sum(part.size for part in parts)
        if held in _NARROW:
            if kind.kind is not TypeKind.FLOAT:
                return unavailable("", kind, _TOO_COMPLEX)
            kind = replace(kind, size=held)  # what the program makes a long double of
    source = _Source("", kind, returned.text, parts)
    if returned.text is not None and any(isinstance(piece, Memory) for piece in pieces):
        address = parts[0].address
        if address is None:
            raise ValueError("a result in memory without an address")
        source = replace(source, parts=[Part(_POINTER_BYTES, value=address)])
    return _guarded(source, is_address=False)


@dataclass(frozen=True, slots=True)
class _Source:
    """A value, and where it is."""

    name: str
    kind: Type
    text: TextAccess | None
    parts: Sequence[Part]

    def refused(self, reason: str) -> Captured:
        return unavailable(self.name, self.kind, reason)

    def leaving(self, code: bytes, size: int, kind: Type | None = None) -> Captured:
        return Captured(Item(self.name, kind or self.kind, How.VALUE, size), code)

    def pointer(self) -> Value:
        """The value, if it is an address."""
        return bytes_at(self.parts, 0, _POINTER_BYTES)


def _guarded(source: _Source, *, is_address: bool) -> Captured:
    try:
        if source.text is not None:
            return _text(source, source.text)
        if source.kind.kind is TypeKind.REFERENCE:
            return _referred(source)
        return _plain(source, is_address=is_address)
    except program.TooLargeError:
        return source.refused(_TOO_COMPLEX)


def _plain(source: _Source, *, is_address: bool) -> Captured:
    kind = source.kind
    if kind.kind in (TypeKind.STRING, TypeKind.OTHER):
        return source.refused(f"{kind.name} has no value that can be shown")
    if not source.parts:
        return Captured(Item(source.name, kind, How.NONE, constant=bytes(kind.size)))
    if kind.size <= 0:
        return source.refused(_UNDEFINED)
    if is_address:
        return _memory(source, source.pointer(), kind.size)
    if len(source.parts) == 1 and source.parts[0].address is not None:
        return _memory(source, source.parts[0].address, kind.size)
    return _numbers(source)


def _text(source: _Source, access: TextAccess) -> Captured:
    """Captures characters."""
    address: Value
    if access.by_address:
        address = source.pointer()
        found = text_access.locate(
            access.layout, address, lambda offset, size: ex.load(ex.add(address, ex.const(offset)), size)
        )
    else:
        address = source.parts[0].address if len(source.parts) == 1 else None
        found = text_access.locate(
            access.layout, address, lambda offset, size: bytes_at(source.parts, offset, size)
        )
    if found is None:
        return source.refused(_TOO_COMPLEX)
    pointer, length = found
    code = program.text_item(pointer) if length is None else program.string_item(pointer, length)
    return Captured(Item(source.name, source.kind, How.TEXT), code)


def _referred(source: _Source) -> Captured:
    """Captures what a reference leads to; a function as a pointer to it."""
    target = source.kind.target
    address = source.pointer()
    if target is None or (target.size <= 0 and target.kind is not TypeKind.FUNCTION):
        return source.refused(_UNDEFINED)
    if target.kind is TypeKind.FUNCTION and address is not None:
        pointer = replace(source.kind, kind=TypeKind.POINTER, size=_POINTER_BYTES)
        return source.leaving(program.value_item(_POINTER_BYTES, [address]), _POINTER_BYTES, pointer)
    if target.kind in (TypeKind.STRING, TypeKind.OTHER):
        return source.refused(f"{target.name} has no value that can be shown")
    return _memory(source, address, target.size)


def _memory(source: _Source, address: Value, size: int) -> Captured:
    if address is None:
        return source.refused(_TOO_COMPLEX)
    size = min(size, program.MEMORY_BYTES)
    return source.leaving(program.memory_item(size, address), size)


def _numbers(source: _Source) -> Captured:
    """Captures what is in registers; bytes at the end that are nowhere are padding."""
    found: list[Expression] | None = words(source.parts)
    size = source.kind.size
    if found is None or size > program.VALUE_BYTES or size < sum(part.size for part in source.parts):
        return source.refused(_TOO_COMPLEX)
    missing = (size + 7) // 8 - len(found)
    return source.leaving(program.value_item(size, [*found, *[ex.ZERO] * missing]), size)
