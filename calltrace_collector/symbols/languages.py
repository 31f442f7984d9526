"""Which language a unit was written in. Numbers: DWARF 5, section 7.12, and the list at dwarfstd.org."""

from __future__ import annotations

from calltrace_collector.symbols.forms import At
from calltrace_collector.symbols.unit import Unit

C_LANGUAGES = frozenset({0x01, 0x02, 0x0C, 0x1D, 0x2C, 0x3E})
"""DW_LANG_C89, C, C99, C11, C17, C23."""
CXX_LANGUAGES = frozenset({0x04, 0x1A, 0x21, 0x2B, 0x3A})
"""DW_LANG_C_plus_plus, C_plus_plus_11, 14, 17, 20; 0x3a is C++23."""


def language(unit: Unit) -> int | None:
    """Returns the DW_LANG_ of a unit; None if it does not say."""
    value = unit.root.get(At.LANGUAGE)
    if value is None and unit.skeleton is not None:
        return language(unit.skeleton)
    return value.number if value else None


def is_c(unit: Unit) -> bool:
    """Tells whether the unit is of C, and not of C++ or anything else."""
    return language(unit) in C_LANGUAGES
