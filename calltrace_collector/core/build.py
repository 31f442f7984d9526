"""Generates the core's Python interface, `_core`, from core.cdef.h.

Usage: ``python build.py OUTPUT.c``. The result is compiled with the repository's root on the include path
and linked with the other C files of this folder; see CMakeLists.txt.
"""

import sys
from pathlib import Path

from cffi import FFI

MODULE = "calltrace_collector.core._core"
INTERFACE = Path(__file__).with_name("core.cdef.h")


def builder() -> FFI:
    """The interface, ready to be written as C code."""
    ffi = FFI()
    ffi.cdef(INTERFACE.read_text())
    ffi.set_source(MODULE, '#include "calltrace_collector/core/core.h"')
    return ffi


if __name__ == "__main__":
    builder().emit_c_code(sys.argv[1])
