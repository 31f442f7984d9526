r"""Values as what json.dumps takes.

Numbers are numbers (also those of 64 and 128 bits), but NaN and infinities, and long doubles that no double
is equal to, are strings. Text that is no UTF-8 has its bytes as \xNN. Pointers are strings, NULL is null;
function pointers are the function's name, enums the names of their values where they have some.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from calltrace_collector.capture.values.content import (
    Address,
    Characters,
    Content,
    Elements,
    Letter,
    Members,
    Missing,
    Named,
)
from calltrace_collector.capture.values.text import number_text, whole_characters

__all__ = ["plain"]


def plain(content: Content) -> Any:  # noqa: PLR0911 - a kind of content a line
    """Returns the content as JSON has it."""
    match content:
        case bool() | int():
            return content
        case float():
            return content if math.isfinite(content) else number_text(content)
        case Decimal():
            return number_text(content)
        case Address():
            return content.symbol or (f"{content.number:#x}" if content.number else None)
        case Named():
            return content.name
        case Letter():
            return _letter(content)
        case Characters():
            shown = whole_characters(content.content) if content.is_cut else content.content
            return shown.decode("utf-8", "backslashreplace")
        case Members():
            return {name: plain(part) for name, part in content.members}
        case Elements():
            return [plain(part) for part in content.elements]
        case Missing():
            return {"unavailable": content.reason}


def _letter(letter: Letter) -> str:
    if letter.is_byte and letter.code > 0x7F:
        return f"\\x{letter.code:02x}"
    if letter.code > 0x10FFFF or 0xD800 <= letter.code < 0xE000:
        return f"\\x{letter.code:x}"
    return chr(letter.code)
