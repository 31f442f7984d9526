# Generated from core.cdef.h when the package is built; the modules around it give it types.
from typing import Any

ffi: Any
lib: Any
