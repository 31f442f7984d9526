"""Types as the source spells them, from their entries in the debug information.

Names are without their scopes ("Point", not "geometry::Point"): entries do not say what they are in.
"""

from __future__ import annotations

from calltrace_collector.symbols.forms import UNIT_REFERENCES, At, Form, Tag
from calltrace_collector.symbols.languages import is_c
from calltrace_collector.symbols.unit import Entry, Unit, Value

__all__ = ["array_counts", "name_at"]

_MAX_DEPTH = 16
_MAX_LENGTH = 400
_QUALIFIERS = {Tag.CONST_TYPE: "const", Tag.VOLATILE_TYPE: "volatile", Tag.RESTRICT_TYPE: "restrict"}
_STRING_PREFIXES = (
    "basic_string<char,",
    "basic_string<char8_t,",
    "basic_string_view<char,",
    "basic_string_view<char8_t,",
)
"""What the names of std::string, std::string_view and their char8_t siblings begin with."""
_STRINGS = {
    "basic_string<char": "std::string",
    "basic_string<char8_t": "std::u8string",
    "basic_string_view<char": "std::string_view",
    "basic_string_view<char8_t": "std::u8string_view",
}
_POINTERS = {Tag.POINTER_TYPE: "*", Tag.REFERENCE_TYPE: "&", Tag.RVALUE_REFERENCE_TYPE: "&&"}
_NONE_AT_ALL = {(Form.DATA4, (1 << 32) - 1), (Form.DATA8, (1 << 64) - 1)}
_KEYWORDS = {
    Tag.STRUCTURE_TYPE: "struct",
    Tag.CLASS_TYPE: "class",
    Tag.UNION_TYPE: "union",
    Tag.ENUMERATION_TYPE: "enum",
}

Parts = tuple[str, str]
"""What stands before a declared name, and behind it."""


def name_at(unit: Unit, position: int) -> str:
    """Returns the name of the type at a position of a unit.

    Raises:
        IndexError, KeyError, ValueError, SymbolError: the entries are damaged.
    """
    name = "".join(_parts(unit, position, 0))
    return name if len(name) <= _MAX_LENGTH else name[:_MAX_LENGTH] + "..."


def _target_parts(unit: Unit, entry: Entry, depth: int) -> Parts:
    value = entry.get(At.TYPE)
    if value is None:
        return "void", ""
    target = unit.target(value)
    if target is None or depth > _MAX_DEPTH:
        return "...", ""
    return _parts(*target, depth + 1)


def _parts(unit: Unit, position: int, depth: int) -> Parts:  # noqa: PLR0911 - a kind of type a line
    tag, entry = unit.tag(position), unit.entry(position)
    if tag in _POINTERS:
        return _pointer(_target_parts(unit, entry, depth), _POINTERS[Tag(tag)])
    if tag in _QUALIFIERS:
        return _qualified(_target_parts(unit, entry, depth), _QUALIFIERS[Tag(tag)])
    if tag == Tag.ATOMIC_TYPE:
        before, behind = _target_parts(unit, entry, depth)
        return f"_Atomic({before}{behind})", ""
    if tag == Tag.ARRAY_TYPE:
        before, behind = _target_parts(unit, entry, depth)
        return before, _bounds_text(unit, position) + behind
    if tag == Tag.SUBROUTINE_TYPE:
        before, behind = _target_parts(unit, entry, depth)
        return before + " ", f"({_parameters_text(unit, position, depth)}){behind}"
    if tag == Tag.PTR_TO_MEMBER_TYPE:
        return _member_pointer(unit, entry, depth)
    name = unit.text(entry.get(At.NAME))
    if tag not in _KEYWORDS:
        return _with_scope(unit, entry, name) if name else "...", ""
    keyword = _KEYWORDS[Tag(tag)]
    if name is None:
        return f"{keyword} {{...}}", ""
    if name.startswith(_STRING_PREFIXES):
        return _STRINGS[name.partition(",")[0]], ""
    return (f"{keyword} {name}" if is_c(unit) else name), ""


def _with_scope(unit: Unit, entry: Entry, name: str) -> str:
    """Returns the name of a typedef or a base type; those of the library's strings with their scope."""
    value = entry.get(At.TYPE)
    target = unit.target(value) if name in ("string", "string_view") and value else None
    own = target[0].text(target[0].entry(target[1]).get(At.NAME)) if target else None
    return f"std::{name}" if own and own.startswith(_STRING_PREFIXES) else name


def _pointer(target: Parts, sign: str) -> Parts:
    before, behind = target
    if behind.startswith(("(", "[")):
        return f"{before.rstrip()} ({sign}", f"){behind}"
    return before + ("" if before.endswith(("*", "&")) else " ") + sign, behind


def _qualified(target: Parts, word: str) -> Parts:
    before, behind = target
    if before.endswith(("*", "&")):
        return before + word, behind
    return f"{word} {before}", behind


def _member_pointer(unit: Unit, entry: Entry, depth: int) -> Parts:
    owner = entry.get(At.CONTAINING_TYPE)
    target = unit.target(owner) if owner else None
    name = (target[0].text(target[0].entry(target[1]).get(At.NAME)) if target else None) or "..."
    return _pointer(_target_parts(unit, entry, depth), f"{name}::*")


def _bounds_text(unit: Unit, position: int) -> str:
    counts = array_counts(unit, position)
    return "".join("[]" if count is None else f"[{count}]" for count in counts)


def _parameters_text(unit: Unit, position: int, depth: int) -> str:
    found: list[str] = []
    for tag, child in unit.children(position):
        if tag == Tag.FORMAL_PARAMETER:
            entry = unit.entry(child)
            if At.ARTIFICIAL not in entry:
                found.append("".join(_target_parts(unit, entry, depth)))
        elif tag == Tag.UNSPECIFIED_PARAMETERS:
            found.append("...")
    return ", ".join(found)


def array_counts(unit: Unit, position: int) -> list[int | None]:
    """Returns how many elements an array has in each dimension; None where that is not a constant."""
    counts: list[int | None] = []
    for tag, child in unit.children(position):
        if tag != Tag.SUBRANGE_TYPE:
            continue
        entry = unit.entry(child)
        count, upper = entry.get(At.COUNT), entry.get(At.UPPER_BOUND)
        found = count or upper
        if found is None or not isinstance(found.raw, int) or found.form in UNIT_REFERENCES:
            counts.append(None)
        elif count is not None:
            counts.append(max(found.raw, 0))
        else:
            counts.append(_above(found))
    return counts


def _above(upper: Value) -> int:
    """Returns the number of elements; an upper bound of -1, of none, is written with all bits set."""
    raw = upper.raw if isinstance(upper.raw, int) else -1
    return 0 if raw < 0 or (upper.form, raw) in _NONE_AT_ALL else raw + 1
