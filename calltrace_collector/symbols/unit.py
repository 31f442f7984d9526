"""A unit of DWARF: what one compilation left behind; its entries, and what their values refer to.

Format: DWARF 5, sections 2.17 (addresses), 3.1 (units) and 7.5 (encoding).
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING

from calltrace_collector.symbols.abbrev import Abbreviation
from calltrace_collector.symbols.forms import (
    ADDRESS_INDEXES,
    STRING_INDEXES,
    UNIT_REFERENCES,
    At,
    Encoding,
    Form,
    read_value,
    skip_value,
)
from calltrace_collector.symbols.leb128 import unsigned

if TYPE_CHECKING:
    from calltrace_collector.symbols.dwarf import DwarfFile

_ROOT_BYTES = 1024


class UnitKind(IntEnum):
    """DW_UT_*: what a unit is."""

    COMPILE = 1
    TYPE = 2
    PARTIAL = 3
    SKELETON = 4
    SPLIT_COMPILE = 5
    SPLIT_TYPE = 6


@dataclass(frozen=True, slots=True)
class UnitHeader:
    """Where a unit is and how it is encoded.

    Attributes:
        offset: in its section.
        size: in bytes, the header included.
        root: position of its first entry, from `offset`.
        encoding: how values are encoded.
        abbreviations: offset of its table in .debug_abbrev.
        kind: what it is.
        split_id: what a skeleton and the unit in the .dwo file that it stands for have in common.
        section: of the file that it is in, "info" or (type units of DWARF 4) "types".
        signature: of a type unit, by which others refer to its type.
        type_position: of a type unit's type.
    """

    offset: int
    size: int
    root: int
    encoding: Encoding
    abbreviations: int
    kind: UnitKind
    split_id: int | None
    section: str = "info"
    signature: int | None = None
    type_position: int = 0


@dataclass(frozen=True, slots=True)
class Value:
    """An attribute's value as it is encoded: a DW_FORM_ and a number or bytes."""

    form: int
    raw: int | bytes

    @property
    def number(self) -> int:
        """The number, of which there is no negative one that makes sense; raises ValueError."""
        if isinstance(self.raw, bytes) or self.raw < 0:
            raise ValueError(f"{self.raw!r} stands where a number should")
        return self.raw


Entry = dict[int, Value]
"""Attributes of an entry, by DW_AT_ number."""


class Unit:
    """One unit. Positions of entries count from its start.

    Everything here may raise IndexError, KeyError, ValueError or SymbolError on damaged data.

    Args:
        dwarf: the file it is in, which has to live longer.
        header: its header.
        skeleton: for a unit of a .dwo file, the unit that stands for it in the program.
    """

    def __init__(self, dwarf: DwarfFile, header: UnitHeader, skeleton: Unit | None = None) -> None:
        # Weak, for the file has its units: what forms no circle is closed as soon as nobody uses it.
        self.dwarf: DwarfFile = weakref.proxy(dwarf)
        self.header = header
        self.skeleton = skeleton

    @property
    def content(self) -> bytes:
        """The unit's bytes."""
        return self.dwarf.content(self.header)

    @property
    def abbreviations(self) -> dict[int, Abbreviation]:
        """The shapes of its entries, by code."""
        return self.dwarf.abbreviations(self.header.abbreviations, self.header.encoding)

    @cached_property
    def root(self) -> Entry:
        """The entry that describes the unit itself."""
        # Most often only this entry of a unit is needed, and it is short.
        size = min(self.header.size, _ROOT_BYTES)
        try:
            return self._read_entry(
                self.dwarf.need(self.header.section).read(self.header.offset, size), self.header.root
            )
        except (IndexError, ValueError):
            return self.entry(self.header.root)

    @cached_property
    def compilation_directory(self) -> str | None:
        """Where the compiler ran."""
        found = self.text(self.root.get(At.COMP_DIR))
        return self.skeleton.compilation_directory if found is None and self.skeleton else found

    def entry(self, position: int) -> Entry:
        """Reads the entry at `position`; {} for one that only ends a list of siblings."""
        return self._read_entry(self.content, position)

    def tag(self, position: int) -> int:
        """Returns the DW_TAG_ of the entry at `position`; 0 for one that only ends a list of siblings."""
        code, _ = unsigned(self.content, position)
        return self.abbreviations[code].tag if code else 0

    def children(self, position: int) -> Iterator[tuple[int, int]]:
        """Yields the entries that belong to the one at `position`: the tag and the position of each."""
        _, is_parent, at = self.entry_and_end(position)
        while is_parent:
            tag, owns, end = self.entry_and_end(at)
            if not tag:
                return
            yield tag, at
            at = self.after_children(at, end) if owns else end

    def after_children(self, position: int, end: int) -> int:
        """Returns the position after an entry's children, which begin at `end`."""
        sibling = self.entry(position).get(At.SIBLING)
        if sibling is not None:
            if sibling.number < end:
                raise ValueError(f"the entry at {position:#x} is followed by one before it")
            return sibling.number
        depth = 1
        while depth:
            tag, is_parent, end = self.entry_and_end(end)
            depth += is_parent if tag else -1
        return end

    def entry_and_end(self, position: int) -> tuple[int, bool, int]:
        """Passes over the entry at `position`.

        Returns:
            Its tag, 0 if it only ends a list of siblings; whether entries that belong to it follow; and the
            position after it.
        """
        data, encoding = self.content, self.header.encoding
        code, position = unsigned(data, position)
        if not code:
            return 0, False, position
        shape = self.abbreviations[code]
        for step in shape.steps:
            position = position + step if step >= 0 else skip_value(data, position, step, encoding)
        if position > len(data):
            raise IndexError(f"the entry that ends at {position:#x} is cut off")
        return shape.tag, shape.has_children, position

    def text(self, value: Value | None) -> str | None:
        """Returns the string that the value is; None without a value, or if it is in another file."""
        if value is None or value.form in (Form.STRP_SUP, Form.GNU_STRP_ALT):
            return None
        if isinstance(value.raw, bytes):
            return value.raw.decode("utf-8", "backslashreplace")
        if value.form == Form.LINE_STRP:
            return self.dwarf.need("line_str").read_string(value.raw)
        offset = value.raw
        if value.form in STRING_INDEXES:
            size = self.header.encoding.offset_size
            table = self.dwarf.need("str_offsets")
            offset = int.from_bytes(table.read(self._string_offsets + offset * size, size), "little")
        return self.dwarf.need("str").read_string(offset)

    def address(self, value: Value) -> int:
        """Returns the address that the value is, or is the number of."""
        return self.indexed_address(value.number) if value.form in ADDRESS_INDEXES else value.number

    def indexed_address(self, index: int) -> int:
        """Returns an address from the unit's part of .debug_addr."""
        owner = self.skeleton or self
        base = owner.root.get(At.ADDR_BASE) or owner.root.get(At.GNU_ADDR_BASE)
        start = base.number if base else 0
        return int.from_bytes(owner.dwarf.need("addr").read(start + index * 8, 8), "little")

    def target(self, value: Value) -> tuple[Unit, int] | None:
        """Returns the entry that the value refers to, or None if it is in another file."""
        if value.form in UNIT_REFERENCES:
            return self, value.number
        if value.form == Form.REF_SIG8:
            return self.dwarf.type_of_signature(value.number)
        if value.form != Form.REF_ADDR:
            return None
        unit = self.dwarf.unit_at(value.number)
        return (unit, value.number - unit.header.offset) if unit else None

    def _read_entry(self, data: bytes, position: int) -> Entry:
        if position < self.header.root:
            raise ValueError(f"there is no entry at {position:#x}")
        code, position = unsigned(data, position)
        if not code:
            return {}
        entry: Entry = {}
        for attribute in self.abbreviations[code].attributes:
            form = attribute.form
            if form == Form.INDIRECT:
                form, position = unsigned(data, position)
                if form in (Form.INDIRECT, Form.IMPLICIT_CONST):
                    raise ValueError("an indirect form is indirect itself")
            if form == Form.IMPLICIT_CONST:
                entry[attribute.name] = Value(form, attribute.constant)
            else:
                raw, position = read_value(data, position, form, self.header.encoding)
                entry[attribute.name] = Value(form, raw)
        return entry

    @cached_property
    def _string_offsets(self) -> int:
        """Where the unit's part of .debug_str_offsets begins."""
        base = self.root.get(At.STR_OFFSETS_BASE)
        if base is not None:
            return base.number
        if self.skeleton is None or self.header.encoding.version < 5:
            return 0
        # A .dwo file has one part, after its header.
        return 8 if self.header.encoding.offset_size == 4 else 16
