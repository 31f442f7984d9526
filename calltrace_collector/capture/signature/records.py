"""Structs, classes and unions as the debug information describes them.

Rules: DWARF 5, section 5.7; Itanium C++ ABI, section 3.1 (which classes are passed by invisible reference).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from calltrace_collector.capture.signature.abi import DIRECT_BYTES, Leaf, LeafClass, Shape
from calltrace_collector.capture.signature.strings import STRING_BYTES, is_declared_string, string_layout
from calltrace_collector.capture.signature.text_access import TextLayout
from calltrace_collector.capture.signature.triviality import Special, is_trivial_for_calls, read_special
from calltrace_collector.capture.signature.type_names import name_at
from calltrace_collector.capture.signature.typed import Typed, size_of, unknown
from calltrace_collector.model.capture import Field, Type, TypeKind
from calltrace_collector.symbols.forms import At, Tag
from calltrace_collector.symbols.languages import is_c
from calltrace_collector.symbols.leb128 import unsigned
from calltrace_collector.symbols.unit import Entry, Unit

if TYPE_CHECKING:
    from calltrace_collector.capture.signature.types import TypeReader

_MAX_MEMBERS = 4096
_PASSED_BY_REFERENCE, _PASSED_BY_VALUE = 4, 5  # DW_CC_pass_by_
_PLUS_UCONST = 0x23


@dataclass(slots=True)
class _Parts:
    """What has been found of a record so far."""

    fields: list[Field] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)
    alignment: int = 1
    doubt: str | None = None
    has_reference_member: bool = False
    special: Special = field(default_factory=Special)


def read_record(reader: TypeReader, unit: Unit, position: int, depth: int) -> Typed:
    """Reads a struct, class or union.

    Raises:
        IndexError, KeyError, ValueError, SymbolError: the entries are damaged.
    """
    entry = unit.entry(position)
    name = name_at(unit, position)
    if At.SIGNATURE in entry:
        target = unit.target(entry[At.SIGNATURE])
        return reader.at(*target, depth + 1) if target else unknown(name, "its type is not described")
    if At.DECLARATION in entry:
        if is_declared_string(unit, position, name):
            shape = Shape(STRING_BYTES, 8, (), by_reference=True, is_aggregate=True)
            return Typed(Type(TypeKind.STRING, name, STRING_BYTES), shape, TextLayout.POINTER_LENGTH)
        place = reader.definitions.of(unit, position) if reader.definitions and not is_c(unit) else None
        if place is not None:
            return reader.at(*place, depth + 1)
        return unknown(name, "its type is declared, but not described where it is used")
    parts = _Parts()
    for number, (tag, child) in enumerate(unit.children(position)):
        if number == _MAX_MEMBERS:
            parts.doubt = "its type has too many members"
            break
        if tag in (Tag.MEMBER, Tag.INHERITANCE):
            _add_member(reader, unit, child, parts, depth)
        elif tag == Tag.SUBPROGRAM:
            read_special(unit, position, child, parts.special)
    return _finished(unit, position, entry, parts)


def _add_member(reader: TypeReader, unit: Unit, position: int, parts: _Parts, depth: int) -> None:
    entry = unit.entry(position)
    if At.EXTERNAL in entry or At.DECLARATION in entry:
        return  # a static member
    name = unit.text(entry.get(At.NAME)) or ""
    seen = reader.of_entry(unit, entry, depth + 2)
    is_base = unit.tag(position) == Tag.INHERITANCE
    if name.startswith("_vptr") or (is_base and At.VIRTUALITY in entry):
        parts.special.has_virtual = True
    place = _place(entry, seen.type.size)
    if place is None or seen.shape.doubt is not None:
        parts.doubt = parts.doubt or seen.shape.doubt or "a member's place is not known"
    if place is None:
        return
    bits, bit_size = place
    if not name.startswith("_vptr") and (seen.type.fields or seen.text or not is_base):
        shown = seen.type.name if is_base else name
        offset = bits // 8
        parts.fields.append(Field(shown, seen.type, offset, bits % 8 if bit_size else 0, bit_size))
    if bit_size:
        first, last = bits // 8, (bits + bit_size - 1) // 8
        parts.leaves += [Leaf(at, 1, 1, LeafClass.INTEGER) for at in range(first, last + 1)]
    else:
        parts.leaves += [replace(leaf, offset=leaf.offset + bits // 8) for leaf in seen.shape.leaves]
    parts.alignment = max(parts.alignment, seen.shape.alignment)
    parts.has_reference_member = parts.has_reference_member or seen.shape.by_reference
    if At.ALIGNMENT in entry:
        parts.alignment = max(parts.alignment, entry[At.ALIGNMENT].number)


def _place(entry: Entry, size: int) -> tuple[int, int] | None:
    """Returns a member's first bit, counted from the record's start, and its bits: 0 for no bit-field."""
    at = 0
    location = entry.get(At.DATA_MEMBER_LOCATION)
    if location is not None:
        at = _constant(location.raw)
        if at < 0:
            return None
    bit_size = entry[At.BIT_SIZE].number if At.BIT_SIZE in entry else 0
    if not bit_size:
        return at * 8, 0
    if At.DATA_BIT_OFFSET in entry:
        return entry[At.DATA_BIT_OFFSET].number, bit_size
    storage = entry[At.BYTE_SIZE].number if At.BYTE_SIZE in entry else size
    # DWARF 2 and 3 count from the highest bit of what the bit-field is stored in.
    above = entry[At.BIT_OFFSET].number if At.BIT_OFFSET in entry else None
    if above is None:
        return at * 8, bit_size
    low = at * 8 + storage * 8 - above - bit_size
    return (low, bit_size) if low >= 0 else None


def _constant(location: int | bytes) -> int:
    """Returns an offset; -1 if it is not the same in all objects."""
    if isinstance(location, int):
        return location
    if location[:1] == bytes([_PLUS_UCONST]):
        number, end = unsigned(location, 1)
        return number if end == len(location) else -1
    return -1


def _finished(unit: Unit, position: int, entry: Entry, parts: _Parts) -> Typed:
    size, name = size_of(entry), name_at(unit, position)
    alignment = parts.alignment
    if At.ALIGNMENT in entry:
        alignment = max(alignment, entry[At.ALIGNMENT].number)
    while alignment > 1 and size % alignment:
        alignment //= 2  # it is packed
    doubt = parts.doubt
    if any(leaf.offset + leaf.size > size for leaf in parts.leaves):
        doubt = doubt or "its members do not fit into it"
    by_reference = _is_passed_by_reference(unit, entry, parts)
    if by_reference is None:
        doubt = doubt or "how its class is passed is not known"
    if by_reference:
        doubt = None
    leaves = tuple(parts.leaves) if size <= DIRECT_BYTES else ()
    shape = Shape(size, alignment, leaves, bool(by_reference), doubt, is_aggregate=True)
    kind = TypeKind.UNION if unit.tag(position) == Tag.UNION_TYPE else TypeKind.STRUCT
    layout = string_layout(unit, position, name, size, parts.fields)
    if layout is not None:
        return Typed(Type(TypeKind.STRING, name, size), shape, layout)
    return Typed(Type(kind, name, size, fields=tuple(parts.fields)), shape)


def _is_passed_by_reference(unit: Unit, entry: Entry, parts: _Parts) -> bool | None:
    """Tells whether the class is not trivial for the purposes of calls; None if that is not known."""
    convention = entry.get(At.CALLING_CONVENTION)
    if convention is not None and convention.number in (_PASSED_BY_REFERENCE, _PASSED_BY_VALUE):
        return convention.number == _PASSED_BY_REFERENCE
    if is_c(unit):
        return False
    trivial = is_trivial_for_calls(parts.special, has_untrivial_member=parts.has_reference_member)
    return None if trivial is None else not trivial
