"""Compares values as `calltrace query --format jsonl` shows them with those that the program logged."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.capture.kinds import ENUM, FLAGS, INTEGER, POINTER, Kind

__all__ = ["TEXT_LIMIT", "is_right", "missing_part"]

TEXT_LIMIT = 64
LONG_DOUBLE_ERROR = Decimal("1e-20")
"""What 21 digits may be off, relatively; two long doubles that follow each other are 1e-19 apart."""


def missing_part(value: Any) -> str | None:
    """Returns why a part of a value is unavailable; None if nothing of it is."""
    if isinstance(value, dict):
        if "unavailable" in value:
            return str(value["unavailable"])
        value = list(value.values())
    if isinstance(value, list):
        return next(filter(None, map(missing_part, value)), None)
    return None


def is_right(kind: Kind, truth: Any, row: Mapping[str, Any], objects: Mapping[str, int]) -> bool:
    """Tells whether a shown value is the true one.

    Args:
        kind: the parameter's.
        truth: the value as the reference build logged it.
        row: what was shown: {"value": ..., "cut": ...}.
        objects: addresses of the traced program's global objects and functions.
    """
    value, is_cut = row["value"], bool(row.get("cut"))
    if kind.shape == "text":
        return _text(truth, value, is_cut=is_cut)
    return not is_cut and _same(kind, truth, value, objects)


def _same(kind: Kind, truth: Any, value: Any, objects: Mapping[str, int]) -> bool:  # noqa: PLR0911 - by shape
    match kind.shape:
        case "bool":
            return value is truth
        case shape if shape == INTEGER:
            return type(value) is int and value == truth
        case "char":
            return _character(kind, truth, value)
        case shape if shape in (ENUM, FLAGS):
            return _enum(kind, truth, value)
        case "float" | "float float" | "float long double":
            return _floating(kind.shape, truth, value)
        case "struct" | "union":
            return _members(kind, truth, value, objects)
        case "array":
            return _array(kind, truth, value, objects)
        case "function":
            return _pointer(truth, value, objects) or (
                truth is not None and str(value).partition("(")[0] == truth[0]
            )
        case shape if shape == POINTER:
            return _pointer(truth, value, objects)
        case "text":  # in a struct: the pointer's value
            return (value is None) == (truth is None) and (value is None or value.startswith("0x"))
    raise AssertionError(kind.shape)


def _text(truth: str | None, value: Any, *, is_cut: bool) -> bool:
    if truth is None or not isinstance(value, str):
        return truth is None and value is None and not is_cut
    content = bytes.fromhex(truth)
    if is_cut != (len(content) > TEXT_LIMIT):
        return False
    whole = content[:TEXT_LIMIT].decode("utf-8", "backslashreplace")
    # A character that the limit cuts in two is not shown.
    return value == whole or (is_cut and whole.startswith(value) and len(value.encode()) > TEXT_LIMIT - 4)


def _character(kind: Kind, truth: int, value: Any) -> bool:
    if kind.spelling in ("signed char", "unsigned char"):  # int8_t and uint8_t
        return type(value) is int and value == truth
    is_byte = "char" in kind.spelling and "char16" not in kind.spelling and kind.spelling != "wchar_t"
    code = truth & (0xFF if is_byte else 0xFFFFFFFF)
    if is_byte and code > 0x7F:
        return bool(value == f"\\x{code:02x}")
    return bool(value == (chr(code) if code < 0xD800 or 0xDFFF < code < 0x110000 else f"\\x{code:x}"))


def _enum(kind: Kind, truth: int, value: Any) -> bool:
    values = dict(kind.enumerators)
    if isinstance(value, int):
        return value == truth and value not in values.values()
    if not isinstance(value, str):
        return False
    total = 0
    for name in value.split("|"):
        plain = name.rpartition("::")[2]
        if plain not in values and not (kind.shape == FLAGS and name.startswith("0x")):
            return False
        total |= values[plain] if plain in values else int(name, 16)
    return total == truth


def _floating(shape: str, truth: str, value: Any) -> bool:
    if isinstance(value, str) and value.lower().strip("+-") in ("nan", "inf", "infinity"):
        value = float(value)
    if shape == "float long double":
        if isinstance(value, float) and not math.isfinite(value):
            return truth.lstrip("-") == str(abs(value))
        shown, true = Decimal(value), Decimal(truth)
        return abs(shown - true) <= abs(true) * LONG_DOUBLE_ERROR and shown.is_signed() == true.is_signed()
    if not isinstance(value, float):
        return False
    true_value = float.fromhex(truth)
    if math.isnan(true_value):
        return math.isnan(value)
    if shape == "float":
        return struct.pack("d", value) == struct.pack("d", true_value)
    return not math.isnan(value) and struct.pack("f", value) == struct.pack("f", true_value)


def _members(kind: Kind, truth: dict[str, Any], value: Any, objects: Mapping[str, int]) -> bool:
    if not isinstance(value, dict):
        return False
    shown = dict(value)
    for name, part in value.items():
        if isinstance(part, dict) and name.startswith("Base"):  # a base class is shown as a member
            shown |= part
    return all(
        name in shown and _same(member, truth[name], shown[name], objects) for name, member in kind.members
    )


def _array(kind: Kind, truth: list[Any], value: Any, objects: Mapping[str, int]) -> bool:
    element = kind.element
    assert element is not None
    if isinstance(value, str):  # of characters
        content = bytes(code & 0xFF for code in truth)
        whole, text = (part.decode("utf-8", "backslashreplace") for part in (content, content.rstrip(b"\0")))
        return value in (whole, text)
    if not isinstance(value, list) or len(value) != len(truth):
        return False
    return all(_same(element, *pair, objects) for pair in zip(truth, value, strict=True))


def _pointer(truth: Any, value: Any, objects: Mapping[str, int]) -> bool:
    if truth is None or value is None:
        return truth is None and value is None
    if not isinstance(value, str) or not value.startswith("0x"):
        return False
    if truth == "elsewhere":
        return int(value, 16) != 0
    name, offset = truth
    return bool(int(value, 16) == objects[name] + offset)
