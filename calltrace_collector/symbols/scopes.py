"""The namespaces and classes that an entry is in, which entries do not say of themselves.

Format: DWARF 5, sections 2.3 (entries own those that follow), 3.2.2 (namespaces) and 5.7 (classes).
"""

from __future__ import annotations

from calltrace_collector.symbols.forms import At
from calltrace_collector.symbols.unit import Unit

_MAX_ENTRIES = 50_000
_NAMESPACE = 0x39
_SCOPES = frozenset({_NAMESPACE, 0x02, 0x13, 0x17})  # and DW_TAG_class_type, structure_type, union_type


def scope_of(unit: Unit, position: int) -> str:
    """Returns the scope of an entry as C++ spells it, "app::Parser::"; "" if there is none.

    Raises:
        IndexError, KeyError, ValueError, SymbolError: the unit is damaged, or too large to be searched.
    """
    scopes: list[str] = []
    _, is_parent, at = unit.entry_and_end(unit.header.root)
    for _ in range(_MAX_ENTRIES):
        if at >= position or not is_parent:
            return "".join(scopes)
        tag, owns, end = unit.entry_and_end(at)
        if not tag:
            if not scopes:
                return ""
            scopes.pop()
        elif owns:
            entry = unit.entry(at)
            sibling = entry.get(At.SIBLING)
            if sibling is not None and end <= sibling.number <= position:
                end = sibling.number
            else:
                name = unit.text(entry.get(At.NAME)) or ("(anonymous namespace)" if tag == _NAMESPACE else "")
                scopes.append(f"{name}::" if name and tag in _SCOPES else "")
        at = end
    raise ValueError(f"unit {unit.header.offset:#x} has too many entries to be searched")
