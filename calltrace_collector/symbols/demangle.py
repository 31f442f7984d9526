"""C++ names as the source spells them.

The C++ runtime's own demangler is used, so that names are those of c++filt and gdb. A mangled name can refer
to parts of itself, and so two hundred bytes can stand for gigabytes: what could grow is demangled in a
process with limits.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from calltrace_collector.symbols import cxxabi

_MANGLED = re.compile(rb"_Z[!-~]+")
_REFERENCE = re.compile(rb"[ST][0-9A-Z]*_")
_PACK = re.compile(rb"Dp|s[pP]")  # expansions of parameter packs repeat what they expand
_MAX_REFERENCES = 8  # each can double the name's length at most
_MAX_BYTES = 1024
_BATCH = 2000  # names to a process
_MAX_ATTEMPTS = 4
_TIMEOUT_SECONDS = 30


def demangle(names: Sequence[str]) -> list[str]:
    """Returns the names demangled; those that are not C++, or cannot be demangled, as they are."""
    answers: dict[bytes, bytes] = {}
    uncertain: list[bytes] = []
    mangled = {name: name.encode("utf-8", "backslashreplace") for name in names if name.startswith("_Z")}
    for name in mangled.values():
        if _is_harmless(name):
            answers[name] = cxxabi.demangler()(name) or b""
        elif _MANGLED.fullmatch(name):
            uncertain.append(name)
    for start in range(0, len(uncertain), _BATCH):
        answers.update(_demangle_apart(uncertain[start : start + _BATCH]))
    found = (answers.get(mangled[name]) if name in mangled else None for name in names)
    return [
        answer.decode("utf-8", "backslashreplace") if answer else name
        for answer, name in zip(found, names, strict=True)
    ]


def _is_harmless(name: bytes) -> bool:
    """Tells whether the name can only become as long as memory easily holds."""
    return (
        len(name) <= _MAX_BYTES
        and len(_REFERENCE.findall(name)) <= _MAX_REFERENCES
        and not _PACK.search(name)
        and _MANGLED.fullmatch(name) is not None
    )


def _demangle_apart(names: list[bytes]) -> dict[bytes, bytes]:
    """Demangles in a process with limits; a name that ends the process stays mangled."""
    answers: dict[bytes, bytes] = {}
    for _ in range(_MAX_ATTEMPTS):
        waiting = names[len(answers) :]
        if not waiting:
            break
        lines = _run(b"\n".join(waiting) + b"\n").split(b"\n")[:-1]
        answers.update(zip(waiting, lines, strict=False))
        if len(lines) < len(waiting):
            answers[waiting[len(lines)]] = b""
    return answers


def _run(names: bytes) -> bytes:
    """Returns what the process answers, as far as it gets."""
    command = [sys.executable, "-I", "-S", str(Path(cxxabi.__file__))]
    try:
        process = subprocess.run(
            command,
            input=names,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return error.stdout or b""
    except OSError:
        return b""
    return process.stdout
