"""What is captured of calls: the types of values, how they are laid out, and the plan that says how.

A `Plan` is of a file (a build-id): for each call of a hook in it, the program that the agent runs, and the
layout of what that program leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "PROGRAM_BYTES",
    "Enumerator",
    "Field",
    "HookPlan",
    "How",
    "Item",
    "Layout",
    "Plan",
    "Type",
    "TypeKind",
    "no_values",
]

PROGRAM_BYTES = 8192
"""The most that a program has: CAPTURE_PROGRAM_BYTES of agent/record/capture_program.h."""


class TypeKind(StrEnum):
    """What a type is; const, volatile and typedefs are seen through."""

    VOID = "void"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    CHARACTER = "character"  # char, signed char, unsigned char, char8_t, char16_t, char32_t, wchar_t
    FLOAT = "float"  # 4, 8 or 16 bytes (of which 10 count: the x87's)
    ENUM = "enum"
    POINTER = "pointer"
    REFERENCE = "reference"
    STRUCT = "struct"  # also class
    UNION = "union"
    ARRAY = "array"
    FUNCTION = "function"  # what a function pointer points to
    STRING = "string"  # std::string and std::string_view
    OTHER = "other"  # what has no value that could be shown: `name` says what it is


@dataclass(frozen=True, slots=True)
class Enumerator:
    """A name of an enum's value."""

    name: str
    value: int


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a struct or union; base classes are fields with their class's name.

    Attributes:
        offset: in bytes from the start.
        bit_offset: of a bit-field: position of its lowest bit, counted from the lowest bit at `offset`.
        bit_size: of a bit-field; 0: it is none.
    """

    name: str
    type: Type
    offset: int
    bit_offset: int = 0
    bit_size: int = 0


@dataclass(frozen=True, slots=True)
class Type:
    """A type, as far as it takes to show a value of it.

    Attributes:
        kind: what it is.
        name: as the program's author would write it, typedef names kept ("size_t", "const char *").
        size: in bytes; 0 if unknown.
        signed: of integers, characters and enums.
        flags: of enums: its values are made to be or-ed.
        target: what a pointer or reference leads to (one level: a target that is a struct has no fields,
            and a target that is a pointer no target), an array's element.
        count: an array's elements.
        enumerators: of an enum.
        fields: of a struct or union, in order.
    """

    kind: TypeKind
    name: str
    size: int = 0
    signed: bool = False
    flags: bool = False
    target: Type | None = None
    count: int = 0
    enumerators: tuple[Enumerator, ...] = ()
    fields: tuple[Field, ...] = ()


class How(StrEnum):
    """What the agent leaves for an item (agent/record/capture_program.h)."""

    VALUE = "value"  # the bytes of the value; of a reference, of what it refers to
    TEXT = "text"  # the characters of a char pointer, a std::string or a string_view (or reference to one)
    NONE = "none"  # nothing: `unavailable` says why, or the value is the item's constant


@dataclass(frozen=True, slots=True)
class Item:
    """An argument or a return value.

    Attributes:
        name: the parameter's; "" for a return value, or where it has none.
        type: its type.
        how: what the agent leaves for it.
        size: bytes that an item with How.VALUE leaves; at most CAPTURE_MEMORY_BYTES, so it may be less than
            the type's.
        unavailable: why there is no value; None where there is one.
        constant: the value's bytes where it is the same in all calls; with How.NONE.
    """

    name: str
    type: Type
    how: How
    size: int = 0
    unavailable: str | None = None
    constant: bytes | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """What the values of one event are: a function's arguments in order, or its one return value."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class HookPlan:
    """What to do where a hook is called.

    Attributes:
        return_offset: where the hook returns to, in the file's own numbering.
        function_offset: the function that it is called for.
        function: that function's name, demangled, without parameters ("ns::parse").
        layout: place in Plan.layouts.
        program: what the agent runs; b"" when nothing can be captured (then the layout alone is of use).
    """

    return_offset: int
    function_offset: int
    function: str
    layout: int
    program: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """How arguments and return values of a file's functions are captured.

    Functions without parameters have no plan for their entries, those that return nothing none for their
    exits. `problems` are lines for the user: what could not be read.
    """

    layouts: tuple[Layout, ...] = ()
    hooks: tuple[HookPlan, ...] = ()
    problems: tuple[str, ...] = ()


def no_values(path: str, reason: str, *, some: bool = False) -> str:
    """Says, as a line, that and why there are no values of a file; some: not all of them."""
    what = "some arguments and return values are missing" if some else "no arguments or return values"
    return f"{what}: {reason}" if path in reason else f"{what}: {path}: {reason}"
