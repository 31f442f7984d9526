"""Where classes are described that are only declared where they are used.

clang describes a class where its constructors or virtual functions are, and elsewhere says just its name. As
C++ has one definition of a class of a name, what one unit says of it holds in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from calltrace_collector.symbols.abbrev import Abbreviation
from calltrace_collector.symbols.forms import At, Tag, skip_value
from calltrace_collector.symbols.leb128 import unsigned
from calltrace_collector.symbols.unit import Unit, UnitKind

__all__ = ["Definitions"]

_NAMESPACE = 0x39
_CLASSES = frozenset({Tag.STRUCTURE_TYPE, Tag.CLASS_TYPE, Tag.UNION_TYPE})
_MAX_BYTES = 12 << 20
"""Of debug information in which classes are looked for: about a second's work."""

Place = tuple[Unit, int]


class Definitions:
    """The classes of a program by name. Those of functions and unnamed namespaces are not among them.

    Args:
        units: of one file; they are read when a class is first asked for, if they are not too large.
    """

    def __init__(self, units: Sequence[Unit]) -> None:
        self._all = units

    def of(self, unit: Unit, position: int) -> Place | None:
        """Returns where a class is described that is declared at a position of a unit; None if nowhere.

        Raises:
            IndexError, KeyError, ValueError, SymbolError: a unit is damaged.
        """
        found = self._index
        name = found.declared.get((unit.header.offset, position))
        return found.defined.get(name) if name is not None else None

    @cached_property
    def _index(self) -> _Index:
        index = _Index()
        units = [one for one in self._all if one.header.kind is UnitKind.COMPILE]
        if sum(unit.header.size for unit in units) <= _MAX_BYTES:
            for unit in units:
                index.add(unit)
        return index


class _Index:
    def __init__(self) -> None:
        self.declared: dict[tuple[int, int], str] = {}
        self.defined: dict[str, Place] = {}

    def add(self, unit: Unit) -> None:
        """Notes the classes of a unit."""
        data, encoding, shapes = unit.content, unit.header.encoding, unit.abbreviations
        # The scope that entries are in, "app::"; None where they have no name that others could say.
        scopes: list[str | None] = []
        position, end = unit.header.root, len(data)
        while position < end:
            start = position
            code, position = unsigned(data, position)
            if not code:
                if scopes:
                    scopes.pop()
                continue
            shape = shapes[code]
            for step in shape.steps:
                position = position + step if step >= 0 else skip_value(data, position, step, encoding)
            scope = scopes[-1] if scopes else ""
            if scope is not None and (shape.tag in _CLASSES or shape.tag == _NAMESPACE):
                scope = self._note(unit, start, shape, scope)
            elif len(scopes) > 0:
                scope = None
            if shape.has_children:
                scopes.append(scope)

    def _note(self, unit: Unit, position: int, shape: Abbreviation, scope: str) -> str | None:
        """Notes a class; returns the scope of what is in it, or in the namespace."""
        entry = unit.entry(position)
        name = unit.text(entry.get(At.NAME))
        if name is None:
            return None
        full = scope + name
        if shape.tag in _CLASSES:
            if At.DECLARATION in entry:
                self.declared[unit.header.offset, position] = full
            else:
                self.defined.setdefault(full, (unit, position))
        return full + "::"
