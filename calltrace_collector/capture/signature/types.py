"""Types as the debug information describes them: to show values of, and to know how they are passed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

from calltrace_collector.capture.signature.abi import DIRECT_BYTES, Leaf, LeafClass, Shape
from calltrace_collector.capture.signature.definitions import Definitions
from calltrace_collector.capture.signature.records import read_record
from calltrace_collector.capture.signature.text_access import TextLayout
from calltrace_collector.capture.signature.type_names import array_counts, name_at
from calltrace_collector.capture.signature.typed import MAX_BYTES, Typed, scalar, size_of, unknown
from calltrace_collector.model.capture import Enumerator, Field, Type, TypeKind
from calltrace_collector.symbols.forms import At, Tag
from calltrace_collector.symbols.unit import Entry, Unit

__all__ = ["TypeReader"]

_MAX_DEPTH = 24
_MAX_ENUMERATORS = 1000
_VECTOR_BYTES = 16
_SEEN_THROUGH = frozenset(
    {
        *(Tag.TYPEDEF, Tag.CONST_TYPE, Tag.VOLATILE_TYPE, Tag.RESTRICT_TYPE, Tag.ATOMIC_TYPE),
        Tag.TEMPLATE_ALIAS,
    }
)
_POINTERS = frozenset({Tag.POINTER_TYPE, Tag.REFERENCE_TYPE, Tag.RVALUE_REFERENCE_TYPE})
_RECORDS = frozenset({Tag.STRUCTURE_TYPE, Tag.CLASS_TYPE, Tag.UNION_TYPE})
_TARGET_KINDS = {
    Tag.STRUCTURE_TYPE: TypeKind.STRUCT,
    Tag.CLASS_TYPE: TypeKind.STRUCT,
    Tag.UNION_TYPE: TypeKind.UNION,
    Tag.POINTER_TYPE: TypeKind.POINTER,
    Tag.REFERENCE_TYPE: TypeKind.REFERENCE,
    Tag.RVALUE_REFERENCE_TYPE: TypeKind.REFERENCE,
    Tag.SUBROUTINE_TYPE: TypeKind.FUNCTION,
    Tag.ENUMERATION_TYPE: TypeKind.ENUM,
    Tag.ARRAY_TYPE: TypeKind.ARRAY,
}
_INTEGER_SIZES = (1, 2, 4, 8, 16)

# DW_ATE_*
_BOOLEAN, _COMPLEX, _FLOAT, _SIGNED, _SIGNED_CHAR, _UNSIGNED, _UNSIGNED_CHAR = 2, 3, 4, 5, 6, 7, 8
_DECIMAL_FLOAT, _UTF, _UCS, _ASCII = 0x0F, 0x10, 0x11, 0x12


class TypeReader:
    """Reads types, each once. Its units have to stay open as long as it is used.

    Args:
        definitions: where classes are described that are only declared; None: they are nowhere.

    All methods may raise IndexError, KeyError, ValueError or SymbolError on damaged data.
    """

    def __init__(self, definitions: Definitions | None = None) -> None:
        self.definitions = definitions
        self._known: dict[tuple[str, str, int, int, bool], Typed] = {}
        self._shallow: dict[tuple[str, str, int, int], Type] = {}

    def of_entry(self, unit: Unit, entry: Entry, depth: int = 0) -> Typed:
        """Returns the type that the entry's DW_AT_type refers to; void if it has none."""
        value = entry.get(At.TYPE)
        if value is None:
            return Typed(Type(TypeKind.VOID, "void"), Shape(0, 1, (), doubt="it is void"))
        target = unit.target(value)
        if target is None:
            return unknown("a type in another file", "its type is described in another file")
        return self.at(*target, depth)

    def at(self, unit: Unit, position: int, depth: int = 0) -> Typed:
        """Returns the type at a position of a unit."""
        # What a parameter refers to is whole, what a member refers to is not.
        key = (unit.dwarf.path, unit.header.section, unit.header.offset, position, depth > 1)
        if key not in self._known:
            if depth > _MAX_DEPTH:
                return unknown("...", "its type is nested too deeply")
            # What a broken type finds when it contains itself.
            self._known[key] = unknown("...", "its type contains itself")
            self._known[key] = self._read(unit, position, depth)
        return self._known[key]

    def target(self, unit: Unit, entry: Entry) -> Type:
        """Returns what a pointer leads to: its kind, name and size, not what it is made of."""
        value = entry.get(At.TYPE)
        if value is None:
            return Type(TypeKind.VOID, "void")
        place = unit.target(value)
        if place is None:
            return Type(TypeKind.OTHER, "...")
        key = (place[0].dwarf.path, place[0].header.section, place[0].header.offset, place[1])
        if key not in self._shallow:
            self._shallow[key] = self._read_target(*place)
        return self._shallow[key]

    def _read_target(self, unit: Unit, position: int) -> Type:
        name = name_at(unit, position)
        for _ in range(_MAX_DEPTH):
            tag, entry = unit.tag(position), unit.entry(position)
            if tag not in _SEEN_THROUGH:
                break
            value = entry.get(At.TYPE)
            further = unit.target(value) if value else None
            if further is None:
                return Type(TypeKind.VOID if value is None else TypeKind.OTHER, name)
            unit, position = further
        else:
            return Type(TypeKind.OTHER, name)
        if tag == Tag.BASE_TYPE:
            return replace(_base(unit, entry).type, name=name)
        kind = _TARGET_KINDS.get(Tag(tag), TypeKind.OTHER) if tag in _TARGET_KINDS else TypeKind.OTHER
        return Type(kind, name, 8 if tag in _POINTERS else size_of(entry))

    def _read(self, unit: Unit, position: int, depth: int) -> Typed:
        tag, entry = unit.tag(position), unit.entry(position)
        if tag in _SEEN_THROUGH:
            return self._alias(unit, position, entry, depth)
        if tag == Tag.BASE_TYPE:
            return _base(unit, entry)
        if tag in _RECORDS:
            return read_record(self, unit, position, depth)
        kinds = {
            **dict.fromkeys(_POINTERS, self._pointer),
            Tag.ENUMERATION_TYPE: self._enum,
            Tag.ARRAY_TYPE: self._array,
            Tag.PTR_TO_MEMBER_TYPE: self._member_pointer,
        }
        read = kinds.get(Tag(tag)) if tag in kinds else None
        if read is not None:
            return read(unit, position, entry, depth)
        if tag == Tag.UNSPECIFIED_TYPE and unit.text(entry.get(At.NAME)) == "decltype(nullptr)":
            null = Type(TypeKind.POINTER, "std::nullptr_t", 8)
            return Typed(null, scalar(8, LeafClass.INTEGER), is_null=True)
        return unknown(name_at(unit, position), "its type is of a kind that is not known")

    def _alias(self, unit: Unit, position: int, entry: Entry, depth: int) -> Typed:
        seen = self.of_entry(unit, entry, depth + 1)
        if At.ALIGNMENT in entry:
            alignment = entry[At.ALIGNMENT].number
            doubt = None if alignment == seen.shape.alignment else "its type has an alignment of its own"
            shape = replace(seen.shape, alignment=alignment, doubt=seen.shape.doubt or doubt)
            seen = replace(seen, shape=shape)
        return replace(seen, type=replace(seen.type, name=name_at(unit, position)))

    def _pointer(self, unit: Unit, position: int, entry: Entry, depth: int) -> Typed:
        name, shape = name_at(unit, position), scalar(8, LeafClass.INTEGER)
        if unit.tag(position) != Tag.POINTER_TYPE:
            # What a parameter refers to is shown, and so has to be whole; within structs it is not.
            seen = self.of_entry(unit, entry, depth + 1) if depth <= 1 else None
            target = seen.type if seen else self.target(unit, entry)
            return Typed(
                Type(TypeKind.REFERENCE, name, 8, target=target), shape, referred=seen.text if seen else None
            )
        target = self.target(unit, entry)
        is_text = target.kind is TypeKind.CHARACTER and target.size == 1
        pointer = Type(TypeKind.POINTER, name, 8, target=target)
        return Typed(pointer, shape, TextLayout.POINTER if is_text else None)

    def _enum(self, unit: Unit, position: int, entry: Entry, depth: int) -> Typed:
        name, size = name_at(unit, position), size_of(entry)
        underlying = self.of_entry(unit, entry, depth + 1).type if At.TYPE in entry else None
        if size not in (1, 2, 4, 8) or (underlying and underlying.size != size):
            return unknown(name, "its enum has no size that is known")
        found = list(_enumerators(unit, position))
        signed = underlying.signed if underlying else any(number < 0 for _, number in found)
        enumerators = tuple(Enumerator(one, _wrapped(number, size, signed)) for one, number in found)
        shown = Type(TypeKind.ENUM, name, size, signed, _is_flags(enumerators), enumerators=enumerators)
        return Typed(shown, scalar(size, LeafClass.INTEGER))

    def _array(self, unit: Unit, position: int, entry: Entry, depth: int) -> Typed:
        name, element = name_at(unit, position), self.of_entry(unit, entry, depth + 1)
        shown, shape = element.type, element.shape
        counts = [count or 0 for count in array_counts(unit, position)] or [0]
        size = math.prod(counts) * shown.size
        if size > MAX_BYTES or shown.size <= 0:
            return unknown(name, "its array has no size that is known")
        for count in reversed(counts):
            shown = Type(TypeKind.ARRAY, name, count * shown.size, target=shown, count=count)
        if At.GNU_VECTOR in entry:
            return Typed(shown, _vector(size))
        doubt = shape.doubt or (None if size else "it contains an array without elements")
        leaves: tuple[Leaf, ...] = ()
        if size <= DIRECT_BYTES:
            starts = range(0, size, shape.size)
            leaves = tuple(
                replace(leaf, offset=start + leaf.offset) for start in starts for leaf in shape.leaves
            )
            doubt = doubt or (None if leaves else "it contains an array of empty structs")
        aggregate = Shape(size, shape.alignment, leaves, shape.by_reference, doubt, is_aggregate=True)
        return Typed(shown, aggregate)

    def _member_pointer(self, unit: Unit, position: int, entry: Entry, depth: int) -> Typed:  # noqa: ARG002
        value = entry.get(At.TYPE)
        target = unit.target(value) if value else None
        is_function = target is not None and target[0].tag(target[1]) == Tag.SUBROUTINE_TYPE
        size = 16 if is_function else 8
        leaves = tuple(Leaf(offset, 8, 8, LeafClass.INTEGER) for offset in range(0, size, 8))
        return Typed(Type(TypeKind.OTHER, name_at(unit, position), size), Shape(size, 8, leaves))


def _base(unit: Unit, entry: Entry) -> Typed:
    name, size = unit.text(entry.get(At.NAME)) or "...", size_of(entry)
    value = entry.get(At.ENCODING)
    encoding = value.number if value else 0
    if "_BitInt" in name or "_ExtInt" in name:
        return unknown(name, "integers of so many bits are not known")
    if encoding in (_FLOAT, _DECIMAL_FLOAT, _COMPLEX):
        return _floating(name, size, encoding)
    kind = TypeKind.INTEGER
    if encoding == _BOOLEAN:
        kind = TypeKind.BOOLEAN
    elif encoding in (_UTF, _UCS, _ASCII) or name in ("char", "wchar_t"):
        kind = TypeKind.CHARACTER
    elif encoding not in (_SIGNED, _SIGNED_CHAR, _UNSIGNED, _UNSIGNED_CHAR):
        return unknown(name, "its type is of an encoding that is not known")
    if size not in _INTEGER_SIZES:
        return unknown(name, "its type has no size that is known")
    return Typed(Type(kind, name, size, encoding in (_SIGNED, _SIGNED_CHAR)), scalar(size, LeafClass.INTEGER))


def _floating(name: str, size: int, encoding: int) -> Typed:
    is_long_double = name == "long double"
    if encoding == _COMPLEX:
        return _complex(name, size)
    if encoding == _FLOAT and size in (4, 8):
        return Typed(Type(TypeKind.FLOAT, name, size), scalar(size, LeafClass.SSE))
    if encoding == _FLOAT and size == 16 and is_long_double:
        return Typed(Type(TypeKind.FLOAT, name, size), scalar(size, LeafClass.X87))
    if size in (2, 4, 8):
        return Typed(Type(TypeKind.OTHER, name, size), scalar(size, LeafClass.SSE))
    if size == 16 and name in ("_Float128", "__float128", "_Decimal128"):
        return Typed(Type(TypeKind.OTHER, name, size), scalar(size, LeafClass.VECTOR))
    return unknown(name, "its floating point type is not known")


def _complex(name: str, size: int) -> Typed:
    half = size // 2
    # gcc says "complex float", clang 14 says "complex" and no more.
    names = {4: "float", 8: "double", 16: "long double"}
    own = name.removeprefix("_Complex ").removeprefix("complex ").removesuffix(" _Complex")
    if half not in names or own not in (names[half], "complex"):
        return unknown(name, "its complex type is not known")
    part = Type(TypeKind.FLOAT, names[half], half)
    shown = Type(TypeKind.STRUCT, name, size, fields=(Field("re", part, 0), Field("im", part, half)))
    if half == 16:
        return Typed(shown, Shape(size, 16, (Leaf(0, size, 16, LeafClass.COMPLEX_X87),)))
    return Typed(shown, Shape(size, half, tuple(Leaf(at, half, half, LeafClass.SSE) for at in (0, half))))


def _vector(size: int) -> Shape:
    if size == _VECTOR_BYTES:
        return scalar(size, LeafClass.VECTOR)
    return Shape(size, size, (), doubt=f"how vectors of {size} bytes are passed is not sure")


def _enumerators(unit: Unit, position: int) -> Iterator[tuple[str, int]]:
    """Yields the names and numbers of an enum's values, as they are encoded."""
    for tag, child in itertools.islice(unit.children(position), _MAX_ENUMERATORS):
        entry = unit.entry(child)
        number, name = entry.get(At.CONST_VALUE), unit.text(entry.get(At.NAME))
        if tag == Tag.ENUMERATOR and number is not None and isinstance(number.raw, int) and name:
            yield name, number.raw


def _wrapped(number: int, size: int, signed: bool) -> int:
    """Returns the number that the enum's bytes have, however it is encoded."""
    number &= (1 << 8 * size) - 1
    return number - (1 << 8 * size) if signed and number >> 8 * size - 1 else number


def _is_flags(enumerators: tuple[Enumerator, ...]) -> bool:
    """Tells whether an enum's values are bits to be or-ed: more than two, each a bit of its own, or 0."""
    bits = [one.value for one in enumerators if one.value]
    return (
        len(bits) > 1 and all(bit > 0 and not bit & (bit - 1) for bit in bits) and len(set(bits)) == len(bits)
    )
