import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltrace_collector.symbols.leb128 import signed, unsigned


def encode(value: int) -> bytes:
    """As DWARF 5, appendix C has it, for signed numbers; those of unsigned ones may end a byte earlier."""
    encoded = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        if value == (-1 if byte & 0x40 else 0):
            return bytes([*encoded, byte])
        encoded.append(byte | 0x80)


@given(st.integers(-(1 << 63), (1 << 63) - 1), st.binary(max_size=4), st.binary(max_size=4))
def test_signed(value: int, before: bytes, after: bytes) -> None:
    data = before + encode(value) + after
    assert signed(data, len(before)) == (value, len(data) - len(after))


@given(st.integers(0, (1 << 63) - 1), st.binary(max_size=4))
def test_unsigned(value: int, before: bytes) -> None:
    data = before + encode(value)
    assert unsigned(data, len(before)) == (value, len(data))


def test_known_encodings() -> None:
    assert unsigned(b"\xe5\x8e\x26", 0) == (624485, 3)
    assert signed(b"\xc0\xbb\x78", 0) == (-123456, 3)
    assert signed(b"\x7f", 0) == (-1, 1)


def test_ends_within_a_number() -> None:
    with pytest.raises(IndexError):
        unsigned(b"\x80\x80", 0)


def test_endless_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 10 bytes"):
        unsigned(b"\x80" * 1000 + b"\0", 0)
