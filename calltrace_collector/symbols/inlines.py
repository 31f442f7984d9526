"""What the compiler inlined in a function, and what the function calls.

Format: DWARF 5, sections 3.3.8 (inlined subroutines) and 3.4.1 (call sites), and GNU's call sites of before.
"""

from __future__ import annotations

from dataclasses import dataclass

from calltrace_collector.symbols import ranges
from calltrace_collector.symbols.forms import At, Tag
from calltrace_collector.symbols.functions import origins
from calltrace_collector.symbols.unit import Entry, Unit, Value

_MAX_ENTRIES = 200_000
_SCOPES = frozenset({0x0B, 0x32, 0x25})  # DW_TAG_lexical_block, try_block, catch_block
_OUTERMOST = -1
_ALL_TAIL_CALLS = frozenset(
    {
        *(At.CALL_ALL_CALLS, At.CALL_ALL_SOURCE_CALLS, At.CALL_ALL_TAIL_CALLS),
        *(At.GNU_ALL_TAIL_CALL_SITES, At.GNU_ALL_CALL_SITES),
    }
)


@dataclass(frozen=True, slots=True)
class InlinedCall:
    """A function that was inlined where an address is.

    Attributes:
        linkage_name: as the linker would know it; for C, and where it is not recorded, its name.
        name: as the source spells it.
        file: number of the file that the call is in, in its unit's line number program, or None.
        line: of the call, or None.
        origin: the entry that it is an instance of: its unit's offset, and its position there; or None.
        copy: first address of the function where it is not inlined, if that was looked for; or None.
    """

    linkage_name: str | None
    name: str | None
    file: int | None
    line: int | None
    origin: tuple[int, int] | None
    copy: int | None = None


@dataclass(frozen=True, slots=True)
class CallSite:
    """A call, or a jump to another function's start in place of a call and a return: a tail call.

    Attributes:
        return_address: of the instruction after it.
        is_tail: it is a jump.
        target: first address of the function called; None if the entry does not say.
        linkage_name: of that function; None if it is called by a pointer.
    """

    return_address: int
    is_tail: bool
    target: int | None
    linkage_name: str | None


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

    Attributes:
        has_all_tail_calls: all its tail calls are among its call sites.

    Raises:
        IndexError, KeyError, ValueError, SymbolError: the entries are damaged.
    """

    def __init__(self, unit: Unit, position: int) -> None:
        self._nodes: list[_Node] = []
        self._call_sites: list[Entry] = []
        self.has_all_tail_calls = not _ALL_TAIL_CALLS.isdisjoint(unit.entry(position))
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

    def call_sites(self, unit: Unit) -> list[CallSite]:
        """Returns what is known of the function's calls; as find() does otherwise."""
        return [
            _call_site(unit, entry, address) for entry in self._call_sites for address in _place(unit, entry)
        ]

    def _read(self, unit: Unit, position: int, parents: list[int]) -> int:
        """Reads the entry at `position`; returns the position of the next one to look at.

        `parents` holds, for each list of entries that has not ended, the number of the inlined function that
        it is in; -1 for none.
        """
        tag, is_parent, end = unit.entry_and_end(position)
        if not tag:
            parents.pop()
            return end
        if tag in (Tag.CALL_SITE, Tag.GNU_CALL_SITE):
            self._call_sites.append(unit.entry(position))
        if tag != Tag.INLINED_SUBROUTINE and tag not in _SCOPES:
            return unit.after_children(position, end) if is_parent else end
        parent = parents[-1]
        if tag == Tag.INLINED_SUBROUTINE:
            entry = unit.entry(position)
            self._nodes.append(_Node(parent, ranges.of_entry(unit, entry), entry))
            parent = len(self._nodes) - 1
        if is_parent:
            parents.append(parent)
        return end


def _describe(unit: Unit, entry: Entry) -> InlinedCall:
    value = entry.get(At.ABSTRACT_ORIGIN)
    linkage_name, name, _ = _origin(unit, value)
    target = unit.target(value) if value else None
    file, line = entry.get(At.CALL_FILE), entry.get(At.CALL_LINE)
    return InlinedCall(
        linkage_name or name,
        name,
        file.number if file else None,
        (line.number or None) if line else None,
        (target[0].header.offset, target[1]) if target else None,
    )


def _place(unit: Unit, entry: Entry) -> list[int]:
    """Returns where the call returns to: one address, or none."""
    place = entry.get(At.CALL_RETURN_PC) or entry.get(At.LOW_PC)
    return [unit.address(place)] if place else []


def _call_site(unit: Unit, entry: Entry, return_address: int) -> CallSite:
    is_tail = At.CALL_TAIL_CALL in entry or At.GNU_TAIL_CALL in entry
    linkage_name, name, start = _origin(unit, entry.get(At.CALL_ORIGIN) or entry.get(At.ABSTRACT_ORIGIN))
    return CallSite(return_address, is_tail, start, linkage_name or name)


def _origin(unit: Unit, origin: Value | None) -> tuple[str | None, str | None, int | None]:
    """Returns the linkage name, the name and the first address of the function that a value refers to."""
    linkage_name = name = start = None
    target = unit.target(origin) if origin else None
    for owner, one in origins(*target) if target else ():
        linkage_name = linkage_name or owner.text(one.get(At.LINKAGE_NAME) or one.get(At.MIPS_LINKAGE_NAME))
        name = name or owner.text(one.get(At.NAME))
        if start is None and At.LOW_PC in one:
            start = owner.address(one[At.LOW_PC])
    return linkage_name, name, start
