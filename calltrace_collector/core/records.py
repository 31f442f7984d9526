"""The core's records as numpy types; field by field the structs of core.cdef.h, which explains them."""

from __future__ import annotations

import numpy as np

__all__ = ["CONTEXT", "FRAME", "FUNCTION", "LOSS", "SITE", "STACK"]

SITE = np.dtype(
    [
        ("function_address", "<u8"),
        ("call_site_address", "<u8"),
        ("frame_delta_bytes", "<i8"),
        ("function", "<u4"),
        ("reserved", "<u4"),
    ]
)
"""A pair of function and call site; its number is its position."""

FRAME = np.dtype(
    [
        ("call", "<u8"),
        ("start_ticks", "<u8"),
        ("child_ticks", "<u8"),
        ("stack_pointer", "<u8"),
        ("site", "<u4"),
        ("flags", "<u4"),
    ]
)
"""An open call."""

LOSS = np.dtype([("thread", "<u4"), ("kind", "<u4"), ("call", "<u8"), ("ticks", "<u8"), ("count", "<u8")])
"""A gap in the trace."""

STACK = np.dtype(
    [
        ("thread", "<u4"),
        ("owner", "<u4"),
        ("started_ticks", "<u8"),
        ("stack_base", "<u8"),
        ("size_bytes", "<u8"),
    ]
)
"""A stack that a thread switches to."""

CONTEXT = np.dtype(
    [
        ("parent", "<u4"),
        ("function", "<u4"),
        ("calls", "<u8"),
        ("total_ticks", "<u8"),
        ("self_ticks", "<u8"),
    ]
)
"""A node of the calling-context tree; its number is its position, and 0 is the root."""

FUNCTION = np.dtype(
    [
        ("function", "<u4"),
        ("buckets", "<u4"),
        ("calls", "<u8"),
        ("completed", "<u8"),
        ("total_ticks", "<u8"),
        ("self_ticks", "<u8"),
        ("min_ticks", "<u8"),
        ("max_ticks", "<u8"),
    ]
)
"""The sums of a function."""
