"""Values as text in one line, as a debugger writes them."""

from __future__ import annotations

from decimal import Decimal

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

__all__ = ["short"]

_MAX_ELEMENTS = 16
_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\", "\0": "\\0"}


def short(content: Content) -> str:  # noqa: PLR0911 - a kind of content a line
    """Returns the content in one line; of long arrays the first elements, then dots."""
    match content:
        case bool():
            return "true" if content else "false"
        case int() | float() | Decimal():
            return number_text(content)
        case Address():
            return content.symbol or (f"{content.number:#x}" if content.number else "NULL")
        case Named():
            return content.name
        case Letter():
            return f"'{_letter(content)}'"
        case Characters():
            return f'"{_characters(content)}"' + ("..." if content.is_cut else "")
        case Members():
            parts = (f"{name}={short(part)}" if name else short(part) for name, part in content.members)
            return "{" + ", ".join(parts) + "}"
        case Elements():
            shown = [short(part) for part in content.elements[:_MAX_ELEMENTS]]
            return "{" + ", ".join(shown + ["..."] * (len(content.elements) > _MAX_ELEMENTS)) + "}"
        case Missing():
            return f"<unavailable: {content.reason}>"


def number_text(number: float | Decimal) -> str:
    """Returns a number so that it is told from any other of its type; "nan", "inf", "-inf"."""
    return f"{number:g}" if isinstance(number, Decimal) else repr(number)


def _letter(letter: Letter) -> str:
    if letter.is_byte and letter.code > 0x7F:
        return f"\\x{letter.code:02x}"
    if letter.code > 0x10FFFF or 0xD800 <= letter.code < 0xE000:
        return f"\\x{letter.code:x}"
    return escape(chr(letter.code), "'")


def _characters(text: Characters) -> str:
    content = text.content
    decoded = (whole_characters(content) if text.is_cut else content).decode("utf-8", "surrogateescape")
    # What is no UTF-8 has become a lone surrogate, of which the lowest byte is the one that was there.
    return "".join(
        f"\\x{ord(one) & 0xFF:02x}" if 0xDC80 <= ord(one) <= 0xDCFF else escape(one, '"') for one in decoded
    )


def escape(character: str, quote: str) -> str:
    """Returns the character as it stands between quotes; what cannot be seen as an escape."""
    if character == quote:
        return "\\" + quote
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def whole_characters(content: bytes) -> bytes:
    """Returns text that was cut without the UTF-8 character that the cut went through."""
    for length in range(1, min(4, len(content) + 1)):
        lead = content[-length]
        if lead & 0xC0 == 0x80:
            continue
        needed = 2 if lead & 0xE0 == 0xC0 else 3 if lead & 0xF0 == 0xE0 else 4 if lead & 0xF8 == 0xF0 else 1
        return content[:-length] if needed > length else content
    return content
