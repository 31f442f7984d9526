"""The source files that a line number program names.

Format: DWARF 5, section 6.2.4.1; DWARF 4, section 6.2.4 for versions 2 to 4.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from functools import lru_cache

from calltrace_collector.errors import SymbolError
from calltrace_collector.symbols.dwarf import DwarfFile
from calltrace_collector.symbols.forms import Encoding, Form, read_value
from calltrace_collector.symbols.leb128 import unsigned

_PATH = 1  # DW_LNCT_path
_DIRECTORY = 2  # DW_LNCT_directory_index
_MAX_PATH_BYTES = 4096  # PATH_MAX

_Name = tuple[int, int | bytes]
"""A name as it is encoded: a form, and bytes or an offset."""


class SourceFiles:
    """File names by number. Most programs name many more than are ever asked for.

    Args:
        dwarf: holds the names that are not in the program itself.
        directory: where the compiler ran.
        directories: folders; the first is where the compiler ran.
        files: names, and the number of the folder of each.
        first: the first file's number.
    """

    def __init__(
        self,
        dwarf: DwarfFile,
        directory: str | None,
        directories: Sequence[_Name | None],
        files: Sequence[tuple[_Name, int]],
        first: int,
    ) -> None:
        self._dwarf = dwarf
        self._directory = directory
        self._directories = directories
        self._files = files
        self._first = first
        self._found: dict[int, str | None] = {}

    def get(self, number: int) -> str | None:
        """Returns the file's name, without "." and ".." parts; None if there is none, or it is damaged.

        It is absolute, unless the compiler recorded no absolute folder.
        """
        if number not in self._found:
            try:
                self._found[number] = self._path(number - self._first)
            except (SymbolError, ValueError):
                self._found[number] = None
        return self._found[number]

    def _path(self, index: int) -> str | None:
        if not 0 <= index < len(self._files):
            return None
        name, directory = self._files[index]
        if directory >= len(self._directories):
            return None
        own = self._directories[0]
        folder = self._directories[directory]
        start = self._text(own) if own and (directory == 0 or not self._directory) else self._directory
        return _join(start, self._text(folder) if folder and directory else "", self._text(name))

    def _text(self, name: _Name) -> str:
        """Returns a name; raises SymbolError or ValueError."""
        form, raw = name
        if isinstance(raw, bytes):
            return raw.decode("utf-8", "backslashreplace")
        if form == Form.LINE_STRP:
            return self._dwarf.need("line_str").read_string(raw, _MAX_PATH_BYTES)
        if form == Form.STRP:
            return self._dwarf.need("str").read_string(raw, _MAX_PATH_BYTES)
        raise ValueError(f"the name of a file is encoded as {form:#x}")


def read(
    dwarf: DwarfFile, data: bytes, position: int, encoding: Encoding, directory: str | None
) -> SourceFiles:
    """Reads the tables of version 5, at `position` of a program; files count from 0.

    Raises:
        IndexError, KeyError, ValueError: they are damaged.
    """
    directories, position = _read_table(data, position, encoding)
    files, _ = _read_table(data, position, encoding)
    return SourceFiles(dwarf, directory, [name for name, _ in directories], files, 0)


def read_old(dwarf: DwarfFile, data: bytes, position: int, directory: str | None) -> SourceFiles:
    """Reads the tables of versions 2 to 4, at `position` of a program; files count from 1.

    Raises:
        IndexError, ValueError: they are damaged.
    """
    directories: list[_Name | None] = [None]
    while data[position]:
        raw, position = _string(data, position)
        directories.append((Form.STRING, raw))
    position += 1
    files: list[tuple[_Name, int]] = []
    while data[position]:
        raw, position = _string(data, position)
        index, position = unsigned(data, position)
        for _ in ("time", "size"):
            _, position = unsigned(data, position)
        files.append(((Form.STRING, raw), index))
    return SourceFiles(dwarf, directory, directories, files, 1)


def _read_table(data: bytes, position: int, encoding: Encoding) -> tuple[list[tuple[_Name, int]], int]:
    """Reads a table of version 5; returns names and numbers of folders, and the position after it."""
    formats: list[tuple[int, int]] = []
    format_count = data[position]
    position += 1
    for _ in range(format_count):
        content, position = unsigned(data, position)
        form, position = unsigned(data, position)
        formats.append((content, form))
    count, position = unsigned(data, position)
    # An entry takes a byte at least, so that a damaged count cannot keep us busy.
    if count > len(data) - position:
        raise ValueError(f"a table of {count} files is longer than its program")
    entries: list[tuple[_Name, int]] = []
    for _ in range(count):
        name: _Name = (Form.STRING, b"")
        directory = 0
        for content, form in formats:
            raw, position = read_value(data, position, form, encoding)
            if content == _PATH:
                name = (form, raw)
            elif content == _DIRECTORY and isinstance(raw, int):
                directory = raw
        entries.append((name, directory))
    return entries, position


def _string(data: bytes, position: int) -> tuple[bytes, int]:
    """Reads the string at `position`; returns it, and the position after it."""
    end = data.index(b"\0", position)
    return data[position:end], end + 1


@lru_cache(maxsize=4096)
def _join(start: str | None, folder: str, name: str) -> str:
    """Returns the path of a file, without "." and ".." parts."""
    path = posixpath.normpath(posixpath.join(start or "", folder, name))
    return path[1:] if path.startswith("//") else path
