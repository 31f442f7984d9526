"""The x87's format of floating-point numbers.

Format: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, section 4.2.2.
"""

from __future__ import annotations

import struct

_EXPONENT_BIAS = 16383
_ALL_ONES = 0x7FFF


def extended(data: bytes) -> bytes:
    """Returns a float (4 bytes) or double (8) in the x87's 10 bytes; 10 bytes as they are."""
    if len(data) == 10:
        return data
    fraction_bits, bias = (23, 127) if len(data) == 4 else (52, 1023)
    bits = int.from_bytes(data, "little")
    fraction = bits & ((1 << fraction_bits) - 1)
    exponent = bits >> fraction_bits & (2 * bias + 1)
    sign = bits >> (8 * len(data) - 1)
    if exponent == 2 * bias + 1:
        significand, exponent = 1 << 63 | fraction << (63 - fraction_bits), _ALL_ONES
    elif exponent:
        significand = 1 << 63 | fraction << (63 - fraction_bits)
        exponent += _EXPONENT_BIAS - bias
    elif fraction:
        shift = 64 - fraction.bit_length()
        significand = fraction << shift
        exponent = _EXPONENT_BIAS - bias + 64 - fraction_bits - shift
    else:
        significand = 0
    return struct.pack("<QH", significand, sign << 15 | exponent)
