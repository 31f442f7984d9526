"""What the entries of a function say of it, gathered from all that describe it.

Format: DWARF 5, section 3.3: a definition completes a declaration, an instance completes an abstract one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from calltrace_collector.symbols import ranges
from calltrace_collector.symbols.forms import At, Form, Tag
from calltrace_collector.symbols.functions import origin_positions, origins
from calltrace_collector.symbols.languages import C_LANGUAGES, CXX_LANGUAGES, is_c, language
from calltrace_collector.symbols.unit import Entry, Unit, Value

__all__ = ["Declared", "DeclaredParameter", "read_declared"]

_MAX_PARAMETERS = 256
_PARAMETER_PACK = 0x4108  # DW_TAG_GNU_formal_parameter_pack
_CONSTRUCTED_BASE, _VIRTUAL_TABLES = "__in_chrg", "__vtt_parm"
_NORMAL_CONVENTION = 1
_UNKNOWN_CLANG = 1 << 16
_FIRST_MARKED_VERSION = 4  # of DWARF, from which on clang says that it describes all calls if it optimizes


@dataclass(frozen=True, slots=True)
class DeclaredParameter:
    """A parameter.

    Attributes:
        name: "" if it has none.
        unit: of `type_entry`.
        type_entry: an entry whose DW_AT_type is the parameter's; {} if no entry has one.
        artificial: the compiler has added it.
        location: its DW_AT_location, in the unit of the function, or None.
        dropped: its type's name, of one that the debug information leaves out; else "".
    """

    name: str
    unit: Unit
    type_entry: Entry
    artificial: bool
    location: Value | None
    dropped: str = ""


@dataclass(frozen=True, slots=True)
class Declared:
    """A function.

    Attributes:
        unit: with its code.
        name: as the source spells it.
        linkage_name: as the linker knows it, if that is said; else "".
        ranges: of its code, in the order of the debug information; may be empty.
        entry: its first instruction, if that is said.
        parameters: in order.
        expected: how many parameters it has but for artificial ones, by a declaration; None without one.
        result_unit: of `result_entry`.
        result_entry: an entry whose DW_AT_type is the result's; {} if it returns nothing.
        frame_base: the expression of its DW_AT_frame_base, b"" without one.
        external: others may call it by name.
        clang: the version of clang that has compiled it, 0 for another compiler.
        is_optimized: clang has optimized it, or may have.
        doubt: why places by the ABI are not known; None if they are.
        promotes: parameters are passed as C had it before prototypes.
    """

    unit: Unit
    name: str
    linkage_name: str
    ranges: ranges.Ranges
    entry: int | None
    parameters: tuple[DeclaredParameter, ...]
    expected: int | None
    result_unit: Unit
    result_entry: Entry
    frame_base: bytes
    external: bool
    clang: int
    is_optimized: bool
    doubt: str | None
    promotes: bool


def read_declared(unit: Unit, position: int) -> Declared:
    """Reads what is said of a function.

    Args:
        unit: of its entry, open.
        position: of the entry that has its code.

    Raises:
        IndexError, KeyError, ValueError, SymbolError: the entries are damaged.
    """
    places = list(origin_positions(unit, position))
    chain = [(owner, owner.entry(at)) for owner, at in places]
    own = chain[0][1]
    name = next((text for owner, entry in chain if (text := owner.text(entry.get(At.NAME)))), "")
    result_unit, result = next(((owner, one) for owner, one in chain if At.TYPE in one), (unit, {}))
    frame_base = own.get(At.FRAME_BASE)
    return Declared(
        unit=unit,
        name=name,
        linkage_name=_linkage_name(chain),
        ranges=ranges.of_entry(unit, own),
        entry=_entry_address(unit, own),
        parameters=tuple(_parameters(places, own)),
        expected=_expected(places, chain),
        result_unit=result_unit,
        result_entry={At.TYPE: result[At.TYPE]} if result else {},
        frame_base=frame_base.raw if frame_base and isinstance(frame_base.raw, bytes) else b"",
        external=any(At.EXTERNAL in entry for _, entry in chain),
        clang=_clang_version(unit),
        is_optimized=At.CALL_ALL_CALLS in own
        or At.GNU_ALL_CALL_SITES in own
        or unit.header.encoding.version < _FIRST_MARKED_VERSION,
        doubt=_doubt(chain),
        promotes=is_c(chain[-1][0]) and not any(At.PROTOTYPED in entry for _, entry in chain),
    )


def _linkage_name(chain: list[tuple[Unit, Entry]]) -> str:
    for owner, entry in chain:
        name = owner.text(entry.get(At.LINKAGE_NAME) or entry.get(At.MIPS_LINKAGE_NAME))
        if name:
            return name
    return ""


def _clang_version(unit: Unit) -> int:
    producer = unit.text(unit.root.get(At.PRODUCER) or (unit.skeleton or unit).root.get(At.PRODUCER)) or ""
    if "clang" not in producer:
        return 0
    found = re.search(r"clang version (\d{1,4})\.", producer)
    return int(found[1]) if found else _UNKNOWN_CLANG


def _entry_address(unit: Unit, entry: Entry) -> int | None:
    low, first = entry.get(At.LOW_PC), entry.get(At.ENTRY_PC)
    if first is not None:
        if first.form in (Form.DATA1, Form.DATA2, Form.DATA4, Form.DATA8, Form.UDATA):
            return unit.address(low) + first.number if low else None
        return unit.address(first)
    # In a function of several parts, low_pc is what their addresses count from.
    return unit.address(low) if low and At.RANGES not in entry else None


def _doubt(chain: list[tuple[Unit, Entry]]) -> str | None:
    if language(chain[-1][0]) not in C_LANGUAGES | CXX_LANGUAGES:
        return "its language is neither C nor C++"
    for _, entry in chain:
        convention = entry.get(At.CALLING_CONVENTION)
        if convention is not None and convention.raw != _NORMAL_CONVENTION:
            return "its calling convention is not the usual one"
    return None


def _entries(unit: Unit, position: int) -> Iterator[tuple[int, Entry]]:
    """Yields the parameters of an entry, those of packs too: the position of each, and its entry."""
    for tag, child in unit.children(position):
        if tag == Tag.FORMAL_PARAMETER:
            yield child, unit.entry(child)
        elif tag == _PARAMETER_PACK:
            yield from (
                (one, unit.entry(one)) for kind, one in unit.children(child) if kind == Tag.FORMAL_PARAMETER
            )


def _parameters(places: list[tuple[Unit, int]], own: Entry) -> Iterator[DeclaredParameter]:
    """Yields the parameters: those of the abstract instance, if there is one, with the locations of this."""
    unit, position = places[0]
    concrete = list(_entries(unit, position))
    if len(concrete) > _MAX_PARAMETERS:
        raise ValueError(f"a function has more than {_MAX_PARAMETERS} parameters")
    if At.ABSTRACT_ORIGIN not in own or len(places) < 2:
        yield from (_parameter(unit, at, entry.get(At.LOCATION)) for at, entry in concrete)
        return
    locations: dict[tuple[int, int], Entry] = {}
    for _, entry in concrete:
        origin = entry.get(At.ABSTRACT_ORIGIN)
        target = unit.target(origin) if origin else None
        if target is None:
            raise ValueError("a parameter is of no function")
        locations[target[0].header.offset, target[1]] = entry
    owner, position = places[1]
    abstract = list(_entries(owner, position))
    known = {(owner.header.offset, at) for at, _ in abstract}
    if not locations.keys() <= known:
        raise ValueError("a parameter is of another function")
    for at, entry in abstract:
        found = locations.get((owner.header.offset, at))
        name = owner.text(entry.get(At.NAME))
        if At.ARTIFICIAL in entry and (
            name == _CONSTRUCTED_BASE or (name == _VIRTUAL_TABLES and found is None)
        ):
            continue  # of constructors and destructors; gone, but for that of virtual bases
        yield _parameter(owner, at, found.get(At.LOCATION) if found else None)


def _parameter(unit: Unit, position: int, location: Value | None) -> DeclaredParameter:
    name, artificial = "", False
    for owner, entry in origins(unit, position):
        name = name or owner.text(entry.get(At.NAME)) or ""
        artificial = artificial or At.ARTIFICIAL in entry
        if At.TYPE in entry:
            return DeclaredParameter(name, owner, {At.TYPE: entry[At.TYPE]}, artificial, location)
    return DeclaredParameter(name, unit, {}, artificial, location)


def _expected(places: list[tuple[Unit, int]], chain: list[tuple[Unit, Entry]]) -> int | None:
    """Counts the parameters of the declaration that a definition completes: it has all of them."""
    for number, (_, entry) in enumerate(chain[:-1]):
        if At.SPECIFICATION in entry and At.ABSTRACT_ORIGIN not in entry:
            found = _entries(*places[number + 1])
            return sum(At.ARTIFICIAL not in one for _, one in found)
    return None
