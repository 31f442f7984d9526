from __future__ import annotations

import ctypes
import math
import struct

import pytest

from calltrace_collector.capture.trace.long_double import extended

NUMBERS = [0.0, -0.0, 1.0, -2.5, 0.1, 1e300, 5e-324, 2.2250738585072014e-308, 1e-310, math.inf, -math.inf]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_double_becomes_what_the_compiler_makes_of_it(number: float) -> None:
    assert extended(struct.pack("<d", number)) == bytes(ctypes.c_longdouble(number))[:10]


@pytest.mark.parametrize("number", [0.0, -1.5, 3.4028234663852886e38, 1e-45, 1.401298464324817e-45, math.inf])
def test_a_float_becomes_what_the_compiler_makes_of_it(number: float) -> None:
    rounded = struct.unpack("<f", struct.pack("<f", number))[0]
    assert extended(struct.pack("<f", number)) == bytes(ctypes.c_longdouble(rounded))[:10]


def test_a_long_double_stays() -> None:
    assert extended(bytes(range(10))) == bytes(range(10))
