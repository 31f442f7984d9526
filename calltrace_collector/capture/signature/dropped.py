"""Parameters that clang leaves out of the debug information, found by the function's mangled name.

Without optimization clang describes no parameter that is passed by invisible reference and not used. Where
there is but one way for the others to be what the name spells, it is known which those are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from calltrace_collector.capture.signature.declared import DeclaredParameter
from calltrace_collector.symbols.forms import At, Tag
from calltrace_collector.symbols.unit import Entry, Unit

__all__ = ["restored"]

_MAX_HOPS = 24
_SEEN_THROUGH = (Tag.TYPEDEF, Tag.CONST_TYPE, Tag.VOLATILE_TYPE, Tag.RESTRICT_TYPE)
_POINTERS = (
    *(Tag.POINTER_TYPE, Tag.REFERENCE_TYPE, Tag.RVALUE_REFERENCE_TYPE, Tag.PTR_TO_MEMBER_TYPE),
    Tag.ARRAY_TYPE,
)
_INNERMOST_ARGUMENTS = re.compile(r"<[^<>]*>")
_POINTER = "*"
_COMPLEX = "_Complex"
_ALIASES = {"string": "basic_string", "complex": _COMPLEX}
# Also the last words of "unsigned long", "float _Complex" and "decltype(nullptr)".
_BUILT_IN = frozenset(
    {
        *("void", "bool", "char", "short", "int", "long", "float", "double", "unsigned", "signed"),
        *("wchar_t", "char8_t", "char16_t", "char32_t", "__int128", "__float128", "_Float128", "_Complex"),
        *("decltype(nullptr)", "half", "decimal32", "decimal64", "decimal128"),
    }
)


def restored(
    unit: Unit, parameters: Sequence[DeclaredParameter], names: Sequence[str]
) -> tuple[DeclaredParameter, ...] | None:
    """Returns the parameters with those that are left out.

    Args:
        unit: of the function.
        parameters: those that are described; the first may be artificial.
        names: the types of all but artificial ones, as the demangled name spells them.

    Returns:
        None where it is not sure which are left out.

    Raises:
        IndexError, KeyError, ValueError, SymbolError: the entries of a type are damaged.
    """
    artificial = [one for one in parameters if one.artificial]
    explicit = [one for one in parameters if not one.artificial]
    wanted = [_key_of_name(name) for name in names]
    keys = [_key_of_type(one.unit, one.type_entry) for one in explicit]
    ways = _ways(keys, wanted)
    if ways[0][0] != 1:
        return None
    found: list[DeclaredParameter] = []
    taken = 0
    for place, name in enumerate(names):
        matches = taken < len(keys) and keys[taken] == wanted[place]
        if matches and ways[taken + 1][place + 1]:
            found.append(explicit[taken])
            taken += 1
        else:
            found.append(DeclaredParameter("", unit, {}, False, None, dropped=name))
    return (*artificial, *found)


def _ways(keys: Sequence[str | None], wanted: Sequence[str]) -> list[list[int]]:
    """Counts, for each pair of beginnings, in how many ways the rest of `keys` fits the rest of `wanted`."""
    ways = [[0] * (len(wanted) + 1) for _ in range(len(keys) + 1)]
    for place in range(len(wanted), -1, -1):
        for taken in range(len(keys), -1, -1):
            if place == len(wanted):
                ways[taken][place] = int(taken == len(keys))
                continue
            skipped = ways[taken][place + 1] if _may_be_left_out(wanted[place]) else 0
            matches = taken < len(keys) and keys[taken] == wanted[place]
            ways[taken][place] = skipped + (ways[taken + 1][place + 1] if matches else 0)
    return ways


def _may_be_left_out(key: str) -> bool:
    """Tells whether a type may be a class, which others are never passed by invisible reference."""
    return key != _POINTER and key.split()[-1:] != [] and key.rsplit(maxsplit=1)[-1] not in _BUILT_IN


def _key_of_name(name: str) -> str:
    """Returns what is compared of a type's demangled name: for a class, its name alone."""
    if name.endswith((_POINTER, "&", "const", "]", ")")) and name != "decltype(nullptr)":
        return _POINTER  # also vectors, "float __vector(4)"
    while (shorter := _INNERMOST_ARGUMENTS.sub("", name)) != name:
        name = shorter
    last = name.rpartition("::")[2]
    # clang 14 does not say of what type a complex number's parts are.
    return _COMPLEX if last.endswith(_COMPLEX) else _ALIASES.get(last, last)


def _key_of_type(unit: Unit, entry: Entry) -> str | None:
    """Returns what is compared of a type; None if it has no name."""
    for _ in range(_MAX_HOPS):
        value = entry.get(At.TYPE)
        target = unit.target(value) if value else None
        if target is None:
            return None
        unit, position = target
        tag, entry = unit.tag(position), unit.entry(position)
        if tag in _POINTERS:
            return _POINTER
        if tag not in _SEEN_THROUGH:
            name = unit.text(entry.get(At.NAME))
            return _key_of_name(name) if name else None
    return None
