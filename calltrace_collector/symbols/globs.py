"""Function names as a user writes them: globs."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate
from functools import cache

from calltrace_collector.errors import UsageError

MAX_GLOBS = 256
MAX_GLOBS_BYTES = 4096
"""Of several globs in one text."""

_ABI_TAG = re.compile(r"\[abi:\w+\]")
_QUALIFIERS = re.compile(r"(?: const| volatile| &&?| noexcept| \[clone [^\]]*\])+$")
_LETTER = re.compile(r"operator *(?:<=>|->\*?|<<=?|>>=?|[<>]=?|\(\)|\[\])|.", re.DOTALL)
_OPENING = {")": "(", ">": "<", "}": "{", "]": "["}


def glob_matcher(glob: str) -> Callable[[str], bool]:
    """Makes what tells whether a glob matches a function's name.

    A C++ name matches with and without its parameters, and without the return type that a template's name
    begins with: vector<*>::push_back matches "void vector<int>::push_back(int const&)".

    Args:
        glob: with * for any text, ? for any letter, [abc] for one of these letters.

    Raises:
        UsageError: it is empty, or a bracket is not closed.
    """
    return _matcher([glob])


def _matcher(globs: list[str]) -> Callable[[str], bool]:
    for glob in globs:
        _check(glob)
    matches = re.compile("|".join(map(translate, globs))).match
    return lambda name: any(matches(form) for form in name_forms(name))


def _check(glob: str) -> None:
    if not glob:
        raise UsageError("an empty pattern matches no function: give a name, with * for any text")
    if _has_open_bracket(glob):
        raise UsageError(f"the pattern {glob} has a [ without its ]: write [[] for a bracket in a name")


def any_matcher(globs: str) -> Callable[[str], bool]:
    """Makes what tells whether any of several globs, separated by commas, matches a function's name.

    Raises:
        UsageError: there is none, or too many, or one of them makes no sense.
    """
    split = split_globs(globs)
    if not split:
        raise UsageError("no pattern: give names of functions, with * for any text")
    if len(split) > MAX_GLOBS or len(globs.encode(errors="surrogateescape")) > MAX_GLOBS_BYTES:
        raise UsageError(f"too many patterns: at most {MAX_GLOBS}, and {MAX_GLOBS_BYTES} bytes")
    matches = _matcher(split)
    return (lambda _name: True) if "*" in split else cache(matches)


def split_globs(globs: str) -> list[str]:
    """Splits at commas, but not at those within a name's parentheses or angle brackets."""
    split = [""]
    depth = 0
    for found in _LETTER.finditer(globs):
        letter = found.group()
        depth += (letter in "(<") - (letter in ")>")
        if letter == "," and depth == 0:
            split.append("")
        else:
            split[-1] += letter
    if depth:  # so they are no brackets
        split = globs.split(",")
    return [glob.strip() for glob in split if glob.strip()]


def _has_open_bracket(glob: str) -> bool:
    at = glob.find("[")
    while at >= 0:
        # The first character in brackets may itself be a bracket; a ! before it negates.
        first = at + 2 if glob[at + 1 : at + 2] == "!" else at + 1
        end = glob.find("]", first + 1)
        if end < 0:
            return True
        at = glob.find("[", end)
    return False


def name_forms(name: str) -> list[str]:
    """Returns the texts by which a demangled name may be called: whole, without parameters, without type.

    And each of them without the marks of C++'s versions of the ABI, which nobody writes: greet[abi:cxx11].
    """
    forms = [name]
    bare = _QUALIFIERS.sub("", name)
    if bare.endswith(")"):
        start = opening_of_last(bare)
        if start > 0:
            forms.append(bare[:start])
    if "operator" not in name:
        unqualified = forms[-1]
        space = _last_space_outside(unqualified)
        if space >= 0:
            forms.append(unqualified[space + 1 :])
    if "[abi:" in name:
        forms += [_ABI_TAG.sub("", form) for form in forms]
    return forms


def opening_of_last(text: str) -> int:
    """Returns where the parenthesis opens that the text's last letter closes; -1: nowhere."""
    depth = 0
    for at in range(len(text) - 1, -1, -1):
        depth += (text[at] == ")") - (text[at] == "(")
        if depth == 0:
            return at
    return -1


def _last_space_outside(text: str) -> int:
    """Where the last space is that no bracket of any kind is around; -1: nowhere."""
    depth = 0
    for at in range(len(text) - 1, -1, -1):
        letter = text[at]
        if letter in _OPENING:
            depth += 1
        elif letter in _OPENING.values():
            depth -= 1
        elif letter == " " and depth == 0:
            return at
    return -1
