"""DWARF's constants, and how the values of attributes are encoded.

Format: DWARF 5, sections 7.5.4 to 7.5.6, and GNU's extensions of DWARF 4 for split debug information.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache

from calltrace_collector.symbols.leb128 import signed, unsigned


class Tag(IntEnum):
    """DW_TAG_*: what an entry describes."""

    ARRAY_TYPE = 0x01
    CLASS_TYPE = 0x02
    ENUMERATION_TYPE = 0x04
    FORMAL_PARAMETER = 0x05
    MEMBER = 0x0D
    POINTER_TYPE = 0x0F
    REFERENCE_TYPE = 0x10
    STRUCTURE_TYPE = 0x13
    SUBROUTINE_TYPE = 0x15
    TYPEDEF = 0x16
    UNION_TYPE = 0x17
    UNSPECIFIED_PARAMETERS = 0x18
    INHERITANCE = 0x1C
    INLINED_SUBROUTINE = 0x1D
    PTR_TO_MEMBER_TYPE = 0x1F
    SUBRANGE_TYPE = 0x21
    BASE_TYPE = 0x24
    CONST_TYPE = 0x26
    ENUMERATOR = 0x28
    SUBPROGRAM = 0x2E
    VOLATILE_TYPE = 0x35
    RESTRICT_TYPE = 0x37
    UNSPECIFIED_TYPE = 0x3B
    RVALUE_REFERENCE_TYPE = 0x42
    TEMPLATE_ALIAS = 0x43
    ATOMIC_TYPE = 0x47
    CALL_SITE = 0x48
    GNU_CALL_SITE = 0x4109


class At(IntEnum):
    """DW_AT_*: what an attribute says."""

    SIBLING = 0x01
    LOCATION = 0x02
    NAME = 0x03
    BYTE_SIZE = 0x0B
    BIT_OFFSET = 0x0C
    BIT_SIZE = 0x0D
    STMT_LIST = 0x10
    LOW_PC = 0x11
    HIGH_PC = 0x12
    LANGUAGE = 0x13
    COMP_DIR = 0x1B
    CONST_VALUE = 0x1C
    CONTAINING_TYPE = 0x1D
    PRODUCER = 0x25
    PROTOTYPED = 0x27
    UPPER_BOUND = 0x2F
    ABSTRACT_ORIGIN = 0x31
    ARTIFICIAL = 0x34
    CALLING_CONVENTION = 0x36
    COUNT = 0x37
    DATA_MEMBER_LOCATION = 0x38
    DECL_FILE = 0x3A
    DECL_LINE = 0x3B
    DECLARATION = 0x3C
    ENCODING = 0x3E
    EXTERNAL = 0x3F
    FRAME_BASE = 0x40
    SPECIFICATION = 0x47
    TYPE = 0x49
    VIRTUALITY = 0x4C
    ENTRY_PC = 0x52
    RANGES = 0x55
    CALL_FILE = 0x58
    CALL_LINE = 0x59
    OBJECT_POINTER = 0x64
    SIGNATURE = 0x69
    DATA_BIT_OFFSET = 0x6B
    LINKAGE_NAME = 0x6E
    STR_OFFSETS_BASE = 0x72
    ADDR_BASE = 0x73
    RNGLISTS_BASE = 0x74
    DWO_NAME = 0x76
    CALL_ALL_CALLS = 0x7A
    CALL_ALL_SOURCE_CALLS = 0x7B
    CALL_ALL_TAIL_CALLS = 0x7C
    CALL_RETURN_PC = 0x7D
    CALL_ORIGIN = 0x7F
    CALL_TAIL_CALL = 0x82
    ALIGNMENT = 0x88
    DELETED = 0x8A
    DEFAULTED = 0x8B
    LOCLISTS_BASE = 0x8C
    MIPS_LINKAGE_NAME = 0x2007
    GNU_VECTOR = 0x2107
    GNU_TAIL_CALL = 0x2115
    GNU_ALL_TAIL_CALL_SITES = 0x2116
    GNU_ALL_CALL_SITES = 0x2117
    GNU_DWO_NAME = 0x2130
    GNU_DWO_ID = 0x2131
    GNU_RANGES_BASE = 0x2132
    GNU_ADDR_BASE = 0x2133


class Form(IntEnum):
    """DW_FORM_*: how a value is encoded."""

    ADDR = 0x01
    BLOCK2 = 0x03
    BLOCK4 = 0x04
    DATA2 = 0x05
    DATA4 = 0x06
    DATA8 = 0x07
    STRING = 0x08
    BLOCK = 0x09
    BLOCK1 = 0x0A
    DATA1 = 0x0B
    FLAG = 0x0C
    SDATA = 0x0D
    STRP = 0x0E
    UDATA = 0x0F
    REF_ADDR = 0x10
    REF1 = 0x11
    REF2 = 0x12
    REF4 = 0x13
    REF8 = 0x14
    REF_UDATA = 0x15
    INDIRECT = 0x16
    SEC_OFFSET = 0x17
    EXPRLOC = 0x18
    FLAG_PRESENT = 0x19
    STRX = 0x1A
    ADDRX = 0x1B
    REF_SUP4 = 0x1C
    STRP_SUP = 0x1D
    DATA16 = 0x1E
    LINE_STRP = 0x1F
    REF_SIG8 = 0x20
    IMPLICIT_CONST = 0x21
    LOCLISTX = 0x22
    RNGLISTX = 0x23
    REF_SUP8 = 0x24
    STRX1 = 0x25
    STRX2 = 0x26
    STRX3 = 0x27
    STRX4 = 0x28
    ADDRX1 = 0x29
    ADDRX2 = 0x2A
    ADDRX3 = 0x2B
    ADDRX4 = 0x2C
    GNU_ADDR_INDEX = 0x1F01
    GNU_STR_INDEX = 0x1F02
    GNU_REF_ALT = 0x1F20
    GNU_STRP_ALT = 0x1F21


ADDRESS_INDEXES = frozenset(
    {Form.ADDRX, Form.ADDRX1, Form.ADDRX2, Form.ADDRX3, Form.ADDRX4, Form.GNU_ADDR_INDEX}
)
STRING_INDEXES = frozenset({Form.STRX, Form.STRX1, Form.STRX2, Form.STRX3, Form.STRX4, Form.GNU_STR_INDEX})
UNIT_REFERENCES = frozenset({Form.REF1, Form.REF2, Form.REF4, Form.REF8, Form.REF_UDATA})

# How many bytes to skip where that depends on the value; sizes that are known are not negative.
SKIP_STRING, SKIP_NUMBER, SKIP_BLOCK, SKIP_BLOCK1, SKIP_BLOCK2, SKIP_BLOCK4, SKIP_INDIRECT = range(-7, 0)

_BLOCK_LENGTHS = {SKIP_BLOCK1: 1, SKIP_BLOCK2: 2, SKIP_BLOCK4: 4}

_SIZES: dict[int, int] = {
    Form.BLOCK2: SKIP_BLOCK2,
    Form.BLOCK4: SKIP_BLOCK4,
    Form.DATA2: 2,
    Form.DATA4: 4,
    Form.DATA8: 8,
    Form.STRING: SKIP_STRING,
    Form.BLOCK: SKIP_BLOCK,
    Form.BLOCK1: SKIP_BLOCK1,
    Form.DATA1: 1,
    Form.FLAG: 1,
    Form.SDATA: SKIP_NUMBER,
    Form.UDATA: SKIP_NUMBER,
    Form.REF1: 1,
    Form.REF2: 2,
    Form.REF4: 4,
    Form.REF8: 8,
    Form.REF_UDATA: SKIP_NUMBER,
    Form.INDIRECT: SKIP_INDIRECT,
    Form.EXPRLOC: SKIP_BLOCK,
    Form.FLAG_PRESENT: 0,
    Form.STRX: SKIP_NUMBER,
    Form.ADDRX: SKIP_NUMBER,
    Form.REF_SUP4: 4,
    Form.DATA16: 16,
    Form.REF_SIG8: 8,
    Form.IMPLICIT_CONST: 0,
    Form.LOCLISTX: SKIP_NUMBER,
    Form.RNGLISTX: SKIP_NUMBER,
    Form.REF_SUP8: 8,
    Form.STRX1: 1,
    Form.STRX2: 2,
    Form.STRX3: 3,
    Form.STRX4: 4,
    Form.ADDRX1: 1,
    Form.ADDRX2: 2,
    Form.ADDRX3: 3,
    Form.ADDRX4: 4,
    Form.GNU_ADDR_INDEX: SKIP_NUMBER,
    Form.GNU_STR_INDEX: SKIP_NUMBER,
}


class Encoding:
    """What the sizes of values depend on. Addresses are always of 8 bytes here.

    Attributes:
        version: of DWARF.
        offset_size: of offsets in sections, in bytes: 4, or 8 in 64-bit DWARF.
        sizes: for each form the size of its values in bytes, or one of the SKIP_ constants.
    """

    def __init__(self, version: int, offset_size: int) -> None:
        self.version = version
        self.offset_size = offset_size
        self.sizes = _SIZES | {
            Form.ADDR: 8,
            Form.STRP: offset_size,
            Form.REF_ADDR: 8 if version == 2 else offset_size,
            Form.SEC_OFFSET: offset_size,
            Form.STRP_SUP: offset_size,
            Form.LINE_STRP: offset_size,
            Form.GNU_REF_ALT: offset_size,
            Form.GNU_STRP_ALT: offset_size,
        }


@cache
def encoding_of(version: int, offset_size: int) -> Encoding:
    """Returns the encoding of units of that version (2 to 5) and size of offsets (4 or 8)."""
    return Encoding(version, offset_size)


def read_value(data: bytes, position: int, form: int, encoding: Encoding) -> tuple[int | bytes, int]:
    """Reads a value, of any form but implicit_const and indirect.

    Returns:
        The value, a number or the bytes of a string or block; and the position after it.

    Raises:
        IndexError, KeyError, ValueError: the data end within it, or the form is unknown.
    """
    size = encoding.sizes[form]
    if size >= 0:
        end = position + size
        if end > len(data):
            raise IndexError(f"the value at {position:#x} is cut off")
        return int.from_bytes(data[position:end], "little") if size else 1, end
    if size == SKIP_NUMBER:
        return signed(data, position) if form == Form.SDATA else unsigned(data, position)
    if size == SKIP_STRING:
        end = data.index(b"\0", position)
        return data[position:end], end + 1
    if size == SKIP_BLOCK:
        length, start = unsigned(data, position)
    else:
        start = position + _BLOCK_LENGTHS[size]
        length = int.from_bytes(data[position:start], "little")
    if start + length > len(data):
        raise IndexError(f"the block at {position:#x} is cut off")
    return data[start : start + length], start + length


def skip_value(data: bytes, position: int, step: int, encoding: Encoding) -> int:
    """Returns the position after a value, given how to skip it: one of the SKIP_ constants.

    Raises:
        IndexError, KeyError, ValueError: the data end within it, or the form is unknown.
    """
    if step == SKIP_STRING:
        return data.index(b"\0", position) + 1
    if step == SKIP_NUMBER:
        while data[position] & 0x80:
            position += 1
        return position + 1
    if step == SKIP_INDIRECT:
        form, position = unsigned(data, position)
        return read_value(data, position, form, encoding)[1]
    if step == SKIP_BLOCK:
        size, position = unsigned(data, position)
        return position + size
    length = _BLOCK_LENGTHS[step]
    return position + length + int.from_bytes(data[position : position + length], "little")
