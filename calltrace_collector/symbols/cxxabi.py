"""The C++ runtime's demangler. Run as a program, it demangles a name a line from its standard input.

It imports nothing of this package, so that it starts fast when run by its path.
"""

from __future__ import annotations

import ctypes
import resource
import sys
from collections.abc import Callable
from functools import lru_cache

MAX_DEMANGLED_BYTES = 1 << 16
"""Names that would become longer than this stay mangled."""

_LIBRARIES = ("libstdc++.so.6", "libc++abi.so.1", "libc++.so.1")
_MAX_MEMORY_BYTES = 512 << 20
_MAX_SECONDS = 1  # of the processor, for a few thousand names at 20 microseconds


@lru_cache(maxsize=1)
def demangler() -> Callable[[bytes], bytes | None]:
    """Returns a function that demangles a name, and gives None for what is no C++ name.

    Without a C++ runtime there is no C++ name that it knows.
    """
    for library in _LIBRARIES:
        try:
            demangle = ctypes.CDLL(library)["__cxa_demangle"]
        except (OSError, AttributeError):
            continue
        return _wrap(demangle)
    return lambda _: None


def _wrap(demangle: ctypes._NamedFuncPointer) -> Callable[[bytes], bytes | None]:
    demangle.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p]
    demangle.restype = ctypes.c_void_p
    libc = ctypes.CDLL(None)
    libc.free.argtypes = [ctypes.c_void_p]
    libc.free.restype = None
    libc.strnlen.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.strnlen.restype = ctypes.c_size_t

    def call(name: bytes) -> bytes | None:
        result = demangle(name, None, None, None)
        if not result:
            return None
        try:
            size = libc.strnlen(result, MAX_DEMANGLED_BYTES + 1)
            return ctypes.string_at(result, size) if size <= MAX_DEMANGLED_BYTES else None
        finally:
            libc.free(result)

    return call


def main() -> None:
    """Answers each name that is read with its demangled form, or an empty line."""
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_MAX_SECONDS, _MAX_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    demangle = demangler()
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write((demangle(line.rstrip(b"\n")) or b"") + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
