"""Which functions' addresses a piece of code takes, as those of the functions that it calls hooks for.

This is only looked at where no value is captured, to name a function: bytes may look like an instruction and
be none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from calltrace_collector.capture.code.file_code import FileCode

_MAX_BYTES = 1 << 20
# lea register, [rip + distance] or mov register, address
_LOADS = re.compile(
    rb"[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d](?=(?P<distance>.{4}))|[\xb8-\xbf](?=(?P<address>.{4}))",
    re.DOTALL,
)


def addresses_taken(code: FileCode, ranges: Sequence[tuple[int, int]]) -> list[int]:
    """Returns the addresses that functions start at and that are loaded into registers."""
    found: set[int] = set()
    for start, end in ranges:
        for match in _LOADS.finditer(code.read(start, min(end - start, _MAX_BYTES))):
            if match["distance"] is None:
                found.add(int.from_bytes(match["address"], "little"))
            else:
                distance = int.from_bytes(match["distance"], "little", signed=True)
                found.add(start + match.end() + 4 + distance)
    return sorted(address for address in found if code.target_name(address) is not None)
