"""The compiled library, and its error codes as exceptions."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from calltrace_collector.errors import BuildError, ProtocolError

try:
    from calltrace_collector.core._core import ffi, lib
except ImportError as error:
    raise BuildError(f"The compiled core cannot be loaded ({error}); install the package again.") from error

__all__ = ["Bytes", "check", "ffi", "lib", "pointer"]

Bytes = bytes | bytearray | memoryview
"""What the core reads without copying it."""


def check(result: Any, what: str) -> int:
    """Returns a result of the core when it is no error.

    Args:
        result: what a function of the core returned: a count, or one of the CT_E... codes.
        what: what was looked at, for the message.

    Raises:
        ProtocolError: the core refused its input.
        MemoryError: out of memory.
    """
    code = int(result)
    if code >= 0:
        return code
    if code == lib.CT_ENOMEM:
        raise MemoryError(what)
    raise ProtocolError(f"{what}: {ffi.string(lib.ct_error_text(code)).decode()}")


def pointer(kind: str, array: npt.NDArray[Any]) -> Any:
    """Returns a pointer of that type to an array's elements, valid for as long as the array is."""
    return ffi.cast(kind, ffi.from_buffer(array))
