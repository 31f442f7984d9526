"""The memory map of a process: /proc/PID/maps as text.

Format: proc_pid_maps(5).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

_LINE = re.compile(
    r"^([0-9a-f]{1,16})-([0-9a-f]{1,16}) ([r-][w-][x-][ps]) ([0-9a-f]{1,16}) ([0-9a-f]+:[0-9a-f]+) (\d{1,20})"
    r"(?: +(.*))?$",
    re.MULTILINE,
)
_MAX_MAPPINGS = 1 << 17
_DELETED = " (deleted)"


@dataclass(frozen=True, slots=True)
class Mapping:
    """A line of the map.

    Attributes:
        permissions: "r-xp".
        offset: in the file.
        name: of the file, or "[stack]" and its like; "" for anonymous memory.
    """

    start: int
    end: int
    permissions: str
    offset: int
    device: str
    inode: int
    name: str

    @property
    def is_executable(self) -> bool:
        """Instructions in it can be executed."""
        return self.permissions[2] == "x"

    @property
    def is_accessible(self) -> bool:
        """Something is allowed there; nothing is in a guard."""
        return self.permissions[:3] != "---"

    @property
    def is_file(self) -> bool:
        """It is of a file that is still there by that name."""
        return self.inode != 0 and self.name.startswith("/") and not self.name.endswith(_DELETED)


class MemoryMap:
    """What is mapped where; lines that are no lines of a map are passed over."""

    def __init__(self, text: str) -> None:
        mappings: list[Mapping] = []
        for match in _LINE.finditer(text):
            start, end = int(match[1], 16), int(match[2], 16)
            if start < end:
                mappings.append(
                    Mapping(start, end, match[3], int(match[4], 16), match[5], int(match[6]), match[7] or "")
                )
            if len(mappings) == _MAX_MAPPINGS:
                break
        self.mappings = sorted(mappings, key=lambda mapping: mapping.start)

    def __bool__(self) -> bool:
        """There is a map at all."""
        return bool(self.mappings)

    def find(self, address: int) -> Mapping | None:
        """Returns the mapping that the address is in."""
        number = bisect_right(self.mappings, address, key=lambda mapping: mapping.start) - 1
        return self.mappings[number] if number >= 0 and address < self.mappings[number].end else None

    def next_after(self, address: int) -> Mapping | None:
        """Returns the first mapping that starts after the address."""
        number = bisect_right(self.mappings, address, key=lambda mapping: mapping.start)
        return self.mappings[number] if number < len(self.mappings) else None
