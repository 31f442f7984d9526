"""Lines of source files, where they are there."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from functools import lru_cache

_LIMIT_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of a file; lines are counted from 1."""

    number: int
    text: str


def source_lines(file: str, line: int, around: int) -> list[SourceLine]:
    """Returns a line of a file and those around it; none where the file or the line is not there.

    Args:
        file: an absolute path, as debug information has it: what is no file is not read.
        line: counted from 1.
        around: how many lines before it and after it.
    """
    lines = _lines(file)
    if not 1 <= line <= len(lines):
        return []
    first = max(1, line - around)
    last = min(len(lines), line + around)
    return [SourceLine(number, lines[number - 1].expandtabs()) for number in range(first, last + 1)]


@lru_cache(maxsize=16)
def _lines(path: str) -> list[str]:
    if not path.startswith("/"):
        return []
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return []
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LIMIT_BYTES:
            return []
        text = os.read(fd, _LIMIT_BYTES).decode(errors="replace")
    except OSError:
        return []
    finally:
        os.close(fd)
    return text.removesuffix("\n").split("\n") if text else []
