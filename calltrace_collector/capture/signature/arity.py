"""The parameters of a C++ function, by its demangled name."""

from __future__ import annotations

from calltrace_collector.symbols.globs import opening_of_last

__all__ = ["parameter_names"]

_OPEN, _CLOSE = "<([{", ">)]}"


def parameter_names(linkage_name: str, demangled: str) -> tuple[str, ...] | None:
    """Returns the types of the parameters that the name spells; None where it does not say.

    Args:
        linkage_name: mangled.
        demangled: the same, as the source spells it: "ns::f(int, std::vector<int>) const".
    """
    if not linkage_name.startswith("_Z") or linkage_name == demangled:
        return None
    end = demangled.rfind(")")
    # Behind the parameters are const, volatile, & and &&, [clone .x] and [abi:x], without parentheses.
    start = opening_of_last(demangled[: end + 1])
    if start < 0:
        return None
    inside = demangled[start + 1 : end]
    if "operator" in inside or "->" in inside:
        return None  # brackets that are none
    names = _split(inside)
    if names is None:
        return None
    return tuple(names[:-1] if names and names[-1] == "..." else names)


def _split(text: str) -> list[str] | None:
    """Splits at the commas that are in no brackets; None if brackets do not match."""
    depth, start = 0, 0
    found: list[str] = []
    for index, character in enumerate(text):
        if character in _OPEN:
            depth += 1
        elif character in _CLOSE:
            depth -= 1
            if depth < 0:
                return None
        elif character == "," and not depth:
            found.append(text[start:index].strip())
            start = index + 1
    if depth:
        return None
    last = text[start:].strip()
    return [*found, last] if last else found
