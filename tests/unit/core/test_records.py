"""The numpy types and dataclasses are the structs of core.cdef.h."""

from dataclasses import fields

import numpy as np
import pytest

from calltrace_collector.core import (
    CHUNK_ROWS,
    CONTEXT,
    FRAME,
    FUNCTION,
    LOSS,
    SITE,
    Limits,
    Rows,
    ThreadState,
)
from calltrace_collector.core.native import check, ffi, lib
from calltrace_collector.errors import ProtocolError
from calltrace_collector.model.process import CallStatus


@pytest.mark.parametrize(
    ("struct", "record"),
    [
        ("ct_site", SITE),
        ("ct_frame", FRAME),
        ("ct_loss", LOSS),
        ("ct_context", CONTEXT),
        ("ct_function", FUNCTION),
    ],
)
def test_numpy_type_is_the_struct(struct: str, record: np.dtype[np.void]) -> None:
    kind = ffi.typeof(f"struct {struct}")
    members = [(name, field.offset, ffi.sizeof(field.type)) for name, field in kind.fields]
    assert record.names is not None
    assert record.fields is not None
    assert members == [
        (name, record.fields[name][1], record.fields[name][0].itemsize) for name in record.names
    ]
    assert ffi.sizeof(kind) == record.itemsize


@pytest.mark.parametrize(
    ("struct", "kind"), [("ct_limits", Limits), ("ct_thread_state", ThreadState), ("ct_rows", Rows)]
)
def test_dataclass_has_the_fields_of_the_struct(struct: str, kind: type[Limits | ThreadState | Rows]) -> None:
    assert [name for name, _ in ffi.typeof(f"struct {struct}").fields] == [
        field.name for field in fields(kind)
    ]


def test_statuses_are_in_the_order_of_the_model() -> None:
    assert [getattr(lib, f"CT_{status.name}") for status in CallStatus] == list(range(len(CallStatus)))


def test_default_limits_are_those_of_the_core() -> None:
    assert Limits().chunk_rows == CHUNK_ROWS == lib.CT_CHUNK_ROWS
    assert Limits().keep_rows == lib.CT_CHUNK_KEEP_ROWS
    assert Limits().chunk_values == lib.CT_CHUNK_VALUES
    assert Limits().keep_values == lib.CT_CHUNK_KEEP_VALUES


def test_errors_have_words() -> None:
    texts = {code: ffi.string(lib.ct_error_text(code)).decode() for code in range(-7, 2)}
    assert texts[0] == texts[1] == "no error"
    assert texts[-7] == "unknown error"
    assert len({texts[code] for code in range(-7, 1)}) == 8
    assert check(3, "three") == 3
    with pytest.raises(MemoryError, match=r"^a thing$"):
        check(lib.CT_ENOMEM, "a thing")
    with pytest.raises(ProtocolError, match=r"^a thing: malformed data$"):
        check(lib.CT_EMALFORMED, "a thing")
