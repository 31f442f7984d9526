"""Numbers of variable length. Format: DWARF 5, section 7.6."""

from __future__ import annotations

_MAX_BYTES = 10  # 64 bits; longer ones could be made to take for ever


def unsigned(data: bytes, position: int) -> tuple[int, int]:
    """Reads an unsigned number.

    Returns:
        The number, and the position after it.

    Raises:
        IndexError: the data ends before the number does.
        ValueError: it is longer than 64 bits need.
    """
    byte = data[position]
    if byte < 0x80:
        return byte, position + 1
    value = byte & 0x7F
    for index in range(1, _MAX_BYTES):
        byte = data[position + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise ValueError(f"LEB128 number of more than {_MAX_BYTES} bytes")


def signed(data: bytes, position: int) -> tuple[int, int]:
    """Reads a signed number; as unsigned() does."""
    value, end = unsigned(data, position)
    sign = 1 << 7 * (end - position) - 1
    return (value ^ sign) - sign, end
