"""How many parameters a C++ function has, by its demangled name."""

from __future__ import annotations

__all__ = ["parameter_count"]

_OPEN, _CLOSE = "<([{", ">)]}"


def parameter_count(linkage_name: str, demangled: str) -> int | None:
    """Returns how many parameters the name says that the function has; None where it does not say.

    Args:
        linkage_name: mangled.
        demangled: the same, as the source spells it: "ns::f(int, std::vector<int>) const".
    """
    if not linkage_name.startswith("_Z") or linkage_name == demangled:
        return None
    end = demangled.rfind(")")
    # Behind the parameters are const, volatile, & and &&, [clone .x] and [abi:x], without parentheses.
    start = _opening(demangled, end)
    if start is None:
        return None
    inside = demangled[start + 1 : end]
    if not inside.strip():
        return 0
    depth, count = 0, 1
    for index, character in enumerate(inside):
        if character in _OPEN:
            depth += 1
        elif character in _CLOSE and inside[index - 1 : index] != "-":
            depth -= 1
        elif character == "," and not depth:
            count += 1
        if depth < 0:
            return None
    if depth or "operator" in inside:
        return None  # an operator's name with brackets, within a template's argument
    return count - inside.endswith("...") if inside == "..." or inside.endswith(", ...") else count


def _opening(text: str, end: int) -> int | None:
    """Returns where the parenthesis is opened that is closed at `end`."""
    depth = 0
    for index in range(end, -1, -1):
        if text[index] == ")":
            depth += 1
        elif text[index] == "(":
            depth -= 1
            if not depth:
                return index
    return None
