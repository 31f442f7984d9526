"""Functions that the compiler inlined in another one, and where in it.

Format: DWARF 5, section 3.3.8 (inlined subroutines); their addresses, origins and call coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

from calltrace_collector.symbols import ranges
from calltrace_collector.symbols.forms import At, Tag
from calltrace_collector.symbols.functions import origins
from calltrace_collector.symbols.unit import Entry, Unit

_MAX_ENTRIES = 200_000
_SCOPES = frozenset({0x0B, 0x32, 0x25})  # DW_TAG_lexical_block, try_block, catch_block
_OUTERMOST = -1


@dataclass(frozen=True, slots=True)
class InlinedCall:
    """A function that was inlined where an address is.

    Attributes:
        linkage_name: as the linker would know it; for C, and where it is not recorded, its name.
        name: as the source spells it.
        file: number of the file that the call is in, in its unit's line number program, or None.
        line: of the call, or None.
    """

    linkage_name: str | None
    name: str | None
    file: int | None
    line: int | None


@dataclass(frozen=True, slots=True)
class _Node:
    parent: int
    ranges: ranges.Ranges
    entry: Entry

    def contains(self, address: int) -> bool:
        return any(start <= address < end for start, end in self.ranges)


class FunctionInlines:
    """What was inlined in one function.

    Args:
        unit: of the function; of split debug information the one in the .dwo file, which may be closed
            afterwards.
        position: of the function's entry.

    Raises:
        IndexError, KeyError, ValueError, SymbolError: the entries are damaged.
    """

    def __init__(self, unit: Unit, position: int) -> None:
        self._nodes: list[_Node] = []
        _, is_parent, position = unit.entry_and_end(position)
        parents = [_OUTERMOST] if is_parent else []
        for _ in range(_MAX_ENTRIES):
            if not parents:
                return
            position = self._read(unit, position, parents)
        raise ValueError(f"a function is described by more than {_MAX_ENTRIES} entries")

    def find(self, unit: Unit, address: int) -> list[InlinedCall]:
        """Returns what is inlined at an address of the function, innermost first.

        Args:
            unit: of the function, open.
            address: of an instruction.

        Raises:
            IndexError, KeyError, ValueError, SymbolError: the entries are damaged.
        """
        found: list[InlinedCall] = []
        parent = _OUTERMOST
        for number, node in enumerate(self._nodes):
            if node.parent == parent and node.contains(address):
                found.append(_describe(unit, node.entry))
                parent = number
        return found[::-1]

    def _read(self, unit: Unit, position: int, parents: list[int]) -> int:
        """Reads the entry at `position`; returns the position of the next one to look at.

        `parents` holds, for each list of entries that has not ended, the number of the inlined function that
        it is in; -1 for none.
        """
        tag, is_parent, end = unit.entry_and_end(position)
        if not tag:
            parents.pop()
            return end
        if tag != Tag.INLINED_SUBROUTINE and tag not in _SCOPES:
            return _after(unit, position, end) if is_parent else end
        parent = parents[-1]
        if tag == Tag.INLINED_SUBROUTINE:
            entry = unit.entry(position)
            self._nodes.append(_Node(parent, ranges.of_entry(unit, entry), entry))
            parent = len(self._nodes) - 1
        if is_parent:
            parents.append(parent)
        return end


def _after(unit: Unit, position: int, end: int) -> int:
    """Returns the position after an entry's children, which begin at `end`."""
    sibling = unit.entry(position).get(At.SIBLING)
    if sibling is not None:
        if sibling.number < end:
            raise ValueError(f"the entry at {position:#x} is followed by one before it")
        return sibling.number
    depth = 1
    while depth:
        tag, is_parent, end = unit.entry_and_end(end)
        depth += is_parent if tag else -1
    return end


def _describe(unit: Unit, entry: Entry) -> InlinedCall:
    linkage_name = name = None
    origin = entry.get(At.ABSTRACT_ORIGIN)
    target = unit.target(origin) if origin else None
    if target is not None:
        for owner, one in origins(*target):
            linkage_name = linkage_name or owner.text(
                one.get(At.LINKAGE_NAME) or one.get(At.MIPS_LINKAGE_NAME)
            )
            name = name or owner.text(one.get(At.NAME))
    file, line = entry.get(At.CALL_FILE), entry.get(At.CALL_LINE)
    return InlinedCall(
        linkage_name or name, name, file.number if file else None, (line.number or None) if line else None
    )
