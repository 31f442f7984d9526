"""By which plans values were captured, stored and read."""

from pathlib import Path

import pytest

from calltrace_collector.errors import StoreError
from calltrace_collector.model.capture import How, Item, Layout, Plan, Type, TypeKind
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.unit.store.samples import process_info, rows_of

INT = Type(TypeKind.INTEGER, "int", 4, signed=True)


def plan(*names: str) -> Plan:
    """A plan with a layout of one int for each name."""
    return Plan(layouts=tuple(Layout((Item(name, INT, How.VALUE, 4),)) for name in names))


def test_layouts_of_a_process_have_different_numbers(path: Path, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    other = writer.open_process(process_info("two")).process
    assert writer.store_plan(process, 0, plan("a", "b", "c")) == 0
    assert writer.store_plan(process, 7, plan("d")) == 3
    assert writer.store_plan(process, 2, plan("a", "b", "c")) == 4
    assert writer.store_plan(other, 0, plan("d")) == 0
    assert rows_of(path, "SELECT * FROM process_plan ORDER BY 1, 2") == [
        (process, 0, 0, 1),
        (process, 3, 7, 2),
        (process, 4, 2, 1),
        (other, 0, 0, 2),
    ]
    assert rows_of(path, "SELECT id, layout_count FROM capture_plan") == [(1, 3), (2, 1)]


def test_the_same_plan_again_has_the_same_numbers(path: Path, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    assert writer.store_plan(process, 0, plan("a")) == 0
    assert writer.store_plan(process, 1, plan("b", "c")) == 1
    assert writer.store_plan(process, 1, plan("b", "c")) == 1
    assert writer.store_plan(process, 1, plan("c", "b")) == 3
    assert writer.store_plan(process, 1, plan("b", "c")) == 1
    assert writer.store_plan(process, 0, plan("a")) == 0
    assert len(rows_of(path, "SELECT * FROM process_plan")) == 3


def test_a_plan_without_layouts_is_not_stored(path: Path, writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    assert writer.store_plan(process, 0, Plan(problems=("no debug information",))) == 0
    assert rows_of(path, "SELECT * FROM capture_plan") == []


def test_a_plan_of_no_process_is_refused(path: Path, writer: Writer) -> None:
    with pytest.raises(StoreError, match="process 5 is not in the database"):
        writer.store_plan(5, 0, plan("a"))
    assert rows_of(path, "SELECT * FROM capture_plan") == []


def test_layouts_are_found_by_their_numbers(writer: Writer, reader: Reader) -> None:
    process = writer.open_process(process_info()).process
    writer.store_plan(process, 0, plan("a", "b"))
    writer.store_plan(process, 1, plan("c"))
    writer.store_plan(process, 2, plan("a", "b"))
    assert [(each.first_layout, each.module) for each in reader.plans(process)] == [(0, 0), (2, 1), (3, 2)]
    found = [reader.layouts(each.capture_plan) for each in reader.plans(process)]
    assert found == [plan("a", "b").layouts, plan("c").layouts, plan("a", "b").layouts]
    assert reader.plans(process + 1) == []
