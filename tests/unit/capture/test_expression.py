from __future__ import annotations

import ctypes
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Expression, Value
from tests.support.expressions import Evaluator

ATOMS: dict[Expression, int] = {
    ("reg", 0): 0,
    ("reg", 1): 0xFFFFFFFFFFFFFFFF,
    ("reg", 2): 0x8000000080000080,
    ("reg", 3): 0x123456789ABCDEF0,
    ("xmm", 0, 1): 7,
}
MEMORY = bytes(range(1, 65))
SIZES = (1, 2, 4, 8)
A: Expression = ("reg", 2)
B: Expression = ("reg", 3)
LOW = (1 << 64) - 1

evaluate = Evaluator(ATOMS, lambda address, size: MEMORY[address : address + size])
atoms = st.sampled_from(
    [*ATOMS, ("load", ("const", 8), 8), ("load", ("const", 3), 4), ("load", ("const", 3), 1)]
)
constants = st.sampled_from(
    [0, 1, 5, 0x7F, 0x80, 0xFF, 0xFFFF, 0xFFFFFFFF, 1 << 31, 1 << 63, LOW, 32, 63, 64]
)
expressions = st.recursive(
    atoms | constants.map(ex.const),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["zero", "sign"]), st.sampled_from(SIZES), inner),
        st.tuples(st.sampled_from(["not", "neg"]), inner),
        st.tuples(st.just("insert"), st.sampled_from((1, 2, 4)), inner, inner),
        st.tuples(st.just("select"), inner, inner, inner),
        st.tuples(st.sampled_from(sorted(ex.BINARY)), inner, inner),
    ),
    max_leaves=12,
)
"""Not folded: as the tuples say, whatever the functions would have made of them."""


def _made(e: Expression) -> Value:
    """Makes the same by the functions, which fold it."""
    kind = e[0]
    if kind in ex.BINARY:
        return ex.binary(kind, _made(e[1]), _made(e[2]))
    if kind in ("zero", "sign"):
        return (ex.zero if kind == "zero" else ex.sign)(e[1], _made(e[2]))
    if kind in ("not", "neg"):
        return (ex.complement if kind == "not" else ex.negate)(_made(e[1]))
    if kind == "insert":
        return ex.insert(e[1], _made(e[2]), _made(e[3]))
    if kind == "select":
        return ex.select(_made(e[1]), _made(e[2]), _made(e[3]))
    return e


@given(expressions)
def test_what_is_folded_is_worth_the_same(e: Expression) -> None:
    folded = _made(e)
    assert folded is not None
    assert evaluate(folded) == evaluate(e)
    assert ex.weight(folded) <= ex.weight(e) + 4


@given(expressions, st.sampled_from(SIZES))
def test_the_lowest_bytes_stay_when_others_are_dropped(e: Expression, size: int) -> None:
    made = _made(e)
    cut = ex.truncated(size, made)
    assert cut is not None
    assert (evaluate(cut) - evaluate(e)) % (1 << 8 * size) == 0


@given(expressions, st.integers(-(1 << 31), 1 << 31))
def test_distances_are_added_up(e: Expression, distance: int) -> None:
    made = _made(e)
    assert made is not None
    moved = ex.offset_by(made, distance)
    assert evaluate(moved) == (evaluate(e) + distance) & LOW
    base, found = ex.split(moved)
    assert (evaluate(base) + found) & LOW == evaluate(moved)


def test_only_the_lowest_bytes_are_known_where_the_others_are_not() -> None:
    partly = ex.insert(1, None, A)
    assert partly == ("insert", 1, ("unknown",), A)
    assert ex.zero(1, partly) == ("zero", 1, A)
    assert ex.sign(1, partly) == ("sign", 1, A)
    assert ex.zero(4, partly) == partly
    assert ex.truncated(4, partly) is None
    for operator in ex.BINARY:
        assert ex.binary(operator, partly, B) is None
        assert ex.binary(operator, B, partly) is None
    unusable = (ex.negate(partly), ex.complement(partly), ex.load(partly, 8), ex.select(B, partly, B))
    assert unusable == (None,) * 4
    assert ex.insert(2, partly, B) == ("insert", 2, ("unknown",), B)
    assert ex.insert(1, ex.insert(4, None, A), B) == ("insert", 1, ("unknown",), B)


def test_of_what_is_not_known_nothing_is_known() -> None:
    for operator in ex.BINARY:
        assert ex.binary(operator, None, A) is None
        assert ex.binary(operator, A, None) is None
    assert ex.binary("&", None, ex.ZERO) == ex.ZERO
    assert ex.insert(1, A, None) is None
    assert ex.select(None, A, B) is None
    assert ex.select(None, A, A) == A
    assert ex.floating("add_d", A, None) is None


def test_expressions_do_not_grow_without_end() -> None:
    value: Value = A
    for _ in range(200):
        value = ex.binary("*", value, value)
    assert value is None


@pytest.mark.parametrize("name", ["add_f", "subtract_f", "multiply_f", "divide_f", "add_d", "divide_d"])
def test_floating_point_is_not_computed_beforehand(name: str) -> None:
    assert ex.floating(name, ex.const(1), ex.const(2)) == ("fp", name, ex.const(1), ex.const(2))


def test_numbers_have_signs() -> None:
    picks = random.Random(1)
    for _ in range(100):
        number = picks.getrandbits(64)
        assert ex.signed(number, 1) == ctypes.c_int8(number).value
        assert ex.signed(number, 4) == ctypes.c_int32(number).value
        assert ex.signed(number) == ctypes.c_int64(number).value
