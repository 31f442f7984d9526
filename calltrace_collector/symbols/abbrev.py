"""Abbreviations: which attributes the entries of a unit have, and how they are encoded.

Format: DWARF 5, section 7.5.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from calltrace_collector.symbols.forms import At, Encoding, Form, Tag
from calltrace_collector.symbols.leb128 import signed, unsigned


@dataclass(frozen=True, slots=True)
class Attribute:
    """What an attribute says, and how; `constant` is the value of a DW_FORM_implicit_const."""

    name: int
    form: int
    constant: int


@dataclass(frozen=True, slots=True)
class CodeBounds:
    """Where the first address and the size of a function are, from the end of the abbreviation's code on."""

    low: int
    high: int
    high_size: int


@dataclass(frozen=True, slots=True)
class Abbreviation:
    """The shape of an entry.

    Attributes:
        tag: what kind of thing the entry describes.
        has_children: entries that belong to it follow, up to an empty one.
        attributes: in the order of their values.
        steps: how to get past the values: numbers of bytes, and SKIP_ constants.
        has_code: it is a function that has addresses, and no mere declaration.
        bounds: where its addresses are, if they are always at the same place.
    """

    tag: int
    has_children: bool
    attributes: tuple[Attribute, ...]
    steps: tuple[int, ...]
    has_code: bool
    bounds: CodeBounds | None


def parse(data: bytes, offset: int, encoding: Encoding) -> tuple[dict[int, Abbreviation], int]:
    """Reads the table at `offset` of .debug_abbrev.

    Returns:
        The abbreviations by code, and the position after them.

    Raises:
        IndexError, KeyError, ValueError: the data end within it, or a form is unknown.
    """
    table: dict[int, Abbreviation] = {}
    code, position = unsigned(data, offset)
    while code:
        tag, position = unsigned(data, position)
        has_children = data[position] != 0
        attributes, position = _attributes(data, position + 1)
        has_code = tag == Tag.SUBPROGRAM and any(
            attribute.name in (At.LOW_PC, At.RANGES) for attribute in attributes
        )
        bounds = _bounds(attributes, encoding) if has_code else None
        steps = _steps(attributes, encoding)
        table[code] = Abbreviation(tag, has_children, tuple(attributes), steps, has_code, bounds)
        code, position = unsigned(data, position)
    return table, position


def _attributes(data: bytes, position: int) -> tuple[list[Attribute], int]:
    """Reads the attributes up to the pair of zeros; returns them, and the position after it."""
    attributes: list[Attribute] = []
    while True:
        name, form = data[position], data[position + 1]
        if name < 0x80 and form < 0x80:
            position += 2
        else:
            name, position = unsigned(data, position)
            form, position = unsigned(data, position)
        if not name and not form:
            return attributes, position
        if form == Form.IMPLICIT_CONST:
            constant, position = signed(data, position)
            attributes.append(Attribute(name, form, constant))
        else:
            attributes.append(_attribute(name, form))


@lru_cache(maxsize=4096)
def _attribute(name: int, form: int) -> Attribute:
    """Returns the attribute, of which few different ones are used over and over."""
    return Attribute(name, form, 0)


def _steps(attributes: list[Attribute], encoding: Encoding) -> tuple[int, ...]:
    """Returns how to get past the values, those of known size taken together."""
    steps: list[int] = []
    known = 0
    for attribute in attributes:
        size = encoding.sizes[attribute.form]
        if size >= 0:
            known += size
            continue
        if known:
            steps.append(known)
            known = 0
        steps.append(size)
    if known:
        steps.append(known)
    return tuple(steps)


def _bounds(attributes: list[Attribute], encoding: Encoding) -> CodeBounds | None:
    """Returns where a function's addresses are, unless that varies or they are encoded otherwise."""
    low = high = high_size = None
    position = 0
    for attribute in attributes:
        size = encoding.sizes[attribute.form]
        if attribute.name == At.RANGES:
            return None
        if attribute.name == At.LOW_PC and attribute.form == Form.ADDR:
            low = position
        if attribute.name == At.HIGH_PC and attribute.form in (Form.DATA4, Form.DATA8):
            high, high_size = position, size
        if low is not None and high is not None and high_size is not None:
            return CodeBounds(low, high, high_size)
        if size < 0:
            return None
        position += size
    return None
