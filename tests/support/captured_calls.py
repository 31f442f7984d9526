"""What `calltrace query` shows of captured values, as tests compare it."""

from __future__ import annotations

from typing import Any

__all__ = ["arguments_of"]


def arguments_of(call: dict[str, Any]) -> dict[str, Any]:
    """The values of a call's arguments by name; None for those that are unavailable."""
    return {each["name"]: each.get("value") for each in call["arguments"]}
