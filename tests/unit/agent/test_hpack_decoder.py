"""The agent's HPACK decoder agrees with the hpack package, which encodes and is the oracle."""

import ctypes
import errno
from collections.abc import Callable
from pathlib import Path

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.compile import compile_c

LIST_LIMIT = 16384
Fields = list[tuple[bytes, bytes]]
Decode = Callable[[bytes], Fields]


class Field(ctypes.Structure):
    """struct hpack_field."""

    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_size_t),
        ("value", ctypes.c_void_p),
        ("value_size", ctypes.c_size_t),
    ]


class RefusedError(Exception):
    """The decoder says that the block is malformed."""


OnField = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(Field))


@pytest.fixture(scope="module")
def decode(tmp_path_factory: pytest.TempPathFactory) -> Decode:
    """hpack_decode() of a library that has nothing else."""
    path = tmp_path_factory.mktemp("hpack") / "hpack.so"
    compile_c([Path("agent/ship/hpack.c")], path, ("-O1", "-shared", "-fPIC"))
    function = ctypes.CDLL(str(path)).hpack_decode
    function.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, OnField, ctypes.c_void_p]

    def run(block: bytes) -> Fields:
        fields: Fields = []

        def take(_: int, pointer: "ctypes._Pointer[Field]") -> int:
            field = pointer.contents
            name = ctypes.string_at(field.name, field.name_size)
            fields.append((name, ctypes.string_at(field.value, field.value_size)))
            return 0

        scratch = ctypes.create_string_buffer(LIST_LIMIT)
        result = function(block, len(block), scratch, OnField(take), None)
        if result == -errno.EPROTO:
            raise RefusedError
        assert result == 0
        return fields

    return run


def encoder() -> hpack.Encoder:
    """An encoder that was told SETTINGS_HEADER_TABLE_SIZE = 0."""
    new = hpack.Encoder()
    new.header_table_size = 0
    return new


names = st.sampled_from([name for name, _ in hpack.table.HeaderTable.STATIC_TABLE]) | st.binary(max_size=40)
values = st.binary(max_size=200) | st.sampled_from([b"200", b"GET", b"/", b"gzip, deflate"])
headers = st.lists(st.tuples(names, values, st.booleans()), max_size=20)


@given(fields=headers, huffman=st.booleans())
def test_fields_come_back(decode: Decode, fields: list[tuple[bytes, bytes, bool]], huffman: bool) -> None:
    given_fields = [
        (hpack.NeverIndexedHeaderTuple if never else hpack.HeaderTuple)(name, value)
        for name, value, never in fields
    ]
    block = encoder().encode(given_fields, huffman=huffman)
    assert decode(block) == [(name, value) for name, value, _ in fields]


@pytest.mark.parametrize("byte", range(256))
def test_every_byte_has_its_code(decode: Decode, byte: int) -> None:
    for count in range(1, 9):  # ends at each bit of a byte
        block = encoder().encode([(b"name", bytes([byte]) * count)], huffman=True)
        assert decode(block) == [(b"name", bytes([byte]) * count)]


@given(block=st.binary(max_size=60))
def test_any_bytes_are_decoded_alike_or_refused(decode: Decode, block: bytes) -> None:
    """Whatever we decode, the oracle decodes so, too; what it refuses, we refuse."""
    oracle = hpack.Decoder()
    oracle.max_allowed_table_size = 0
    oracle.header_table_size = 0
    try:
        expected = [tuple(field) for field in oracle.decode(block, raw=True)]
    except (hpack.HPACKError, UnicodeDecodeError):
        with pytest.raises(RefusedError):
            decode(block)
        return
    assert decode(block) == expected
