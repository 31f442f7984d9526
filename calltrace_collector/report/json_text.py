"""JSON: indented for one who reads it on a terminal, the same for a program that does not care."""

from __future__ import annotations

import json
from typing import Any


def json_text(value: Any) -> str:
    """Returns a value as indented JSON, without a line end."""
    return json.dumps(value, indent=2)
