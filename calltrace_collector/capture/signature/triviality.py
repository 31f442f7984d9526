"""Which classes are passed by invisible reference, by what is declared of them.

Rule: Itanium C++ ABI, section 3.1.1: those that are not trivial for the purposes of calls: with a copy
constructor, move constructor or destructor that is not trivial, or with neither copy nor move constructor
that is not deleted. Compilers say it themselves with DW_AT_calling_convention; gcc 12 does not.
"""

from __future__ import annotations

from dataclasses import dataclass

from calltrace_collector.symbols.forms import At, Tag
from calltrace_collector.symbols.unit import Entry, Unit

__all__ = ["Special", "is_trivial_for_calls", "read_special"]

_IN_CLASS = 1  # DW_DEFAULTED_in_class
_REFERENCES = (Tag.REFERENCE_TYPE, Tag.RVALUE_REFERENCE_TYPE)
_QUALIFIERS = (Tag.CONST_TYPE, Tag.VOLATILE_TYPE, Tag.TYPEDEF)
_MAX_HOPS = 8


@dataclass(slots=True)
class Special:
    """What is declared of a class.

    Attributes:
        has_user_provided: a copy or move constructor or a destructor of the user's.
        has_virtual: a virtual function or base.
        deleted: copy and move constructors that are deleted.
        defaulted: copy and move constructors that are explicitly as the compiler makes them.
        has_move_assignment: it is declared; there is no implicit copy constructor then.
        is_unclear: something may be a copy constructor or not.
    """

    has_user_provided: bool = False
    has_virtual: bool = False
    deleted: int = 0
    defaulted: int = 0
    has_move_assignment: bool = False
    is_unclear: bool = False


def is_trivial_for_calls(special: Special, *, has_untrivial_member: bool) -> bool | None:
    """Tells whether objects of a class are passed as if it was a struct of C; None if that is not sure.

    Args:
        special: what is declared of it.
        has_untrivial_member: a member or base is of a class that is not trivial for calls.
    """
    if special.has_user_provided or special.has_virtual:
        return False
    if special.is_unclear:
        return None
    if has_untrivial_member:
        # Unless its own copying never copies the member.
        return None if special.deleted and special.defaulted else False
    if special.deleted:
        return None if special.has_move_assignment else bool(special.defaulted)
    return None if special.has_move_assignment and not special.defaulted else True


def read_special(unit: Unit, owner: int, position: int, special: Special) -> None:
    """Takes note of a member function.

    Args:
        unit: of the class.
        owner: the position of the class.
        position: of the function's entry.
        special: what is found is added there.

    Raises:
        IndexError, KeyError, ValueError, SymbolError: the entries are damaged.
    """
    entry = unit.entry(position)
    name, own = unit.text(entry.get(At.NAME)) or "", unit.text(unit.entry(owner).get(At.NAME)) or ""
    special.has_virtual = special.has_virtual or At.VIRTUALITY in entry
    if At.ARTIFICIAL in entry:
        return
    if name.startswith("~"):
        special.has_user_provided = special.has_user_provided or not _is_defaulted(entry)
        return
    is_constructor = bool(own) and name.partition("<")[0] == own.partition("<")[0]
    if not is_constructor and name != "operator=":
        return
    given = _explicit(unit, position)
    kind = _own_reference(unit, given[0], owner) if given else None
    if not is_constructor:
        special.has_move_assignment = special.has_move_assignment or kind == Tag.RVALUE_REFERENCE_TYPE
    elif kind is not None:
        _note_copying(special, entry, len(given))


def _note_copying(special: Special, entry: Entry, parameters: int) -> None:
    if parameters > 1:
        special.is_unclear = True  # it copies if the others have default values
    elif At.DELETED in entry:
        special.deleted += 1
    elif _is_defaulted(entry):
        special.defaulted += 1
    else:
        special.has_user_provided = True


def _is_defaulted(entry: Entry) -> bool:
    value = entry.get(At.DEFAULTED)
    return (value is not None and value.raw == _IN_CLASS) or At.DELETED in entry


def _explicit(unit: Unit, position: int) -> list[Entry]:
    entries = (unit.entry(child) for tag, child in unit.children(position) if tag == Tag.FORMAL_PARAMETER)
    return [entry for entry in entries if At.ARTIFICIAL not in entry]


def _own_reference(unit: Unit, parameter: Entry, owner: int) -> int | None:
    """Returns the tag of a parameter's type if it is a reference to the class itself; else None."""
    value = parameter.get(At.TYPE)
    found = unit.target(value) if value else None
    kind: int | None = None
    for _ in range(_MAX_HOPS):
        if found is None:
            return None
        holder, position = found
        tag = holder.tag(position)
        if tag in _REFERENCES and kind is None:
            kind = tag
        elif tag not in _QUALIFIERS:
            break
        target = holder.entry(position).get(At.TYPE)
        found = holder.target(target) if target else None
    else:
        return None
    is_own = holder is unit or holder.header.offset == unit.header.offset
    return kind if is_own and position == owner else None
