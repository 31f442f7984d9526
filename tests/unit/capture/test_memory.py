from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Expression
from calltrace_collector.capture.machine.memory import Memory, stack_range
from tests.support.expressions import Evaluator

FRAME: Expression = ("reg", 7)
OTHER: Expression = ("reg", 3)
IMAGE: Expression = ("image", 0)
STACK = ex.STACK
ALIGNED: Expression = ("&", ("+", STACK, ("const", (1 << 64) - 8)), ("const", (1 << 64) - 64))
VALUE: Expression = ("reg", 12)
FIRST = bytes(range(7, 7 + 64))

stores = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from((1, 2, 4, 8, 16)), st.integers(0, (1 << 64) - 1)),
    max_size=8,
)


@given(stores, st.integers(0, 48), st.sampled_from((1, 2, 4, 8)))
def test_loads_give_what_bytes_in_order_would(
    done: list[tuple[int, int, int]], offset: int, size: int
) -> None:
    memory = Memory()
    real = bytearray(FIRST)
    hidden: set[int] = set()
    for at, length, value in done:
        memory.store(FRAME, at, length, ex.zero(length, ex.const(value)) if length <= 8 else None)
        real[at : at + length] = (value & ((1 << 8 * length) - 1)).to_bytes(length, "little")
        places = set(range(at, at + length))
        hidden = hidden | places if length > 8 else hidden - places
    found = memory.load(FRAME, offset, size)
    evaluate = Evaluator({FRAME: 0}, lambda address, count: FIRST[address : address + count])
    if found is not None:
        assert not hidden & set(range(offset, offset + size))
        assert evaluate(found) == int.from_bytes(real[offset : offset + size], "little")


def test_a_load_that_nothing_was_stored_to_is_of_the_beginning() -> None:
    memory = Memory()
    assert memory.load(FRAME, 8, 4) == ("load", ("+", FRAME, ("const", 8)), 4)
    memory.store(FRAME, 16, 8, VALUE)
    assert memory.load(FRAME, 8, 8) == ("load", ("+", FRAME, ("const", 8)), 8)
    assert memory.load(FRAME, 16, 8) == VALUE
    assert memory.load(FRAME, 20, 4) == ("zero", 4, (">>", VALUE, ("const", 32))) or memory.load(
        FRAME, 20, 4
    ) == (">>", VALUE, ("const", 32))


def test_what_may_be_the_same_place_is_not_known() -> None:
    memory = Memory()
    memory.store(FRAME, 0, 8, VALUE)
    memory.store(OTHER, 0, 1, VALUE)
    assert memory.load(FRAME, 0, 8) is None
    assert memory.load(FRAME, 64, 8) is None
    assert memory.load(OTHER, 0, 1) == ("zero", 1, VALUE)
    assert not memory.untouched(FRAME, 64, 8)


def test_the_stack_is_not_in_the_image() -> None:
    memory = Memory()
    memory.store(FRAME, 0, 8, VALUE)
    memory.store(IMAGE, 64, 8, None)
    assert memory.load(FRAME, 0, 8) == VALUE
    assert memory.untouched(FRAME, 8, 8)
    assert not memory.untouched(OTHER, 8, 8)


def test_an_aligned_stack_lies_below_what_it_was() -> None:
    assert stack_range(STACK) == (0, 0)
    assert stack_range(ALIGNED) == (-71, -8)
    assert stack_range(FRAME) is None
    assert stack_range(("&", STACK, ("const", 64))) is None
    memory = Memory()
    memory.store(STACK, -8, 8, VALUE)
    memory.store(ALIGNED, -16, 8, None)
    assert memory.load(STACK, -8, 8) == VALUE
    memory.store(ALIGNED, 0, 8, None)
    assert memory.load(STACK, -8, 8) is None
    assert memory.untouched(STACK, 0, 8)


def test_after_a_store_anywhere_only_later_stores_are_known() -> None:
    memory = Memory()
    memory.store(FRAME, 0, 8, VALUE)
    memory.lose()
    assert memory.load(FRAME, 0, 8) is None
    assert not memory.untouched(FRAME, 32, 8)
    memory.store(FRAME, 0, 8, VALUE)
    assert memory.load(FRAME, 0, 8) == VALUE


def test_a_copy_changes_by_itself() -> None:
    memory = Memory()
    memory.store(FRAME, 0, 8, VALUE)
    other = memory.copy()
    other.store(FRAME, 0, 8, None)
    assert memory.load(FRAME, 0, 8) == VALUE
    assert other.load(FRAME, 0, 8) is None
