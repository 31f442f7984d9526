"""docs/reading.md lists what there is: every status, every field, every column."""

import json
import re
from pathlib import Path

import pytest

from calltrace_collector.model.capture import How, Item, Layout, Plan, Type, TypeKind
from calltrace_collector.model.process import CallStatus
from calltrace_collector.query.calls import Search
from calltrace_collector.query.filters import CallFilter
from calltrace_collector.query.recording import Recording
from calltrace_collector.query.stats import function_stats
from calltrace_collector.report.functions import _COLUMNS, function_fields
from calltrace_collector.report.jsonl import CallLines
from calltrace_collector.report.tree_text import _REMARKS
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.support.synthetic import Synthetic, function

PAGE = (Path(__file__).parents[3] / "docs" / "reading.md").read_text()


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def codes(text: str) -> set[str]:
    """What stands in backquotes in the tables of a text."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return {code for row in rows for code in re.findall(r"`([a-z_0-9]+)`", row)}


def column(text: str, number: int) -> list[str]:
    """A column of a section's first table, without heading."""
    rows = [line.split("|") for line in text.splitlines() if line.startswith("|")][2:]
    return [row[number + 1].strip() for row in rows]


@pytest.fixture
def synthetic(writer: Writer) -> Synthetic:
    number = Type(TypeKind.INTEGER, "int", 4)
    gone = Item("y", number, How.NONE, unavailable="overwritten")
    text = Item("s", Type(TypeKind.POINTER, "char *", 8), How.TEXT)
    arguments = Layout((Item("x", number, How.VALUE, 4), gone, text))
    synthetic = Synthetic(writer, [function("main")], plan=Plan((arguments,)))
    synthetic.enter("main", captured=synthetic.captured(0, b"\0\7\0\0\0\1\2\0.."))
    synthetic.leave()
    synthetic.commit()
    return synthetic


def test_statuses_and_remarks() -> None:
    tree = section("The tree")
    assert set(column(tree, 1)) == {f"`{status.value}`" for status in CallStatus}
    remarks = {remark.strip() for cell in column(tree, 0) for remark in cell.split(",")}
    assert remarks == {*_REMARKS.values(), "still open"}


def test_fields_of_calls(synthetic: Synthetic, reader: Reader) -> None:
    recording = Recording(reader, reader.processes(process=synthetic.process)[0])
    search = Search(recording, recording.threads[0], recording.matcher(CallFilter()))
    (block,) = search.blocks()
    (line,) = CallLines(recording).lines(block, block.hits)
    found = json.loads(line)
    of_values = {key for argument in found["arguments"] for key in argument}
    assert of_values == {"name", "type", "value", "unavailable", "cut"}
    assert codes(section("JSON lines")) == found.keys() | of_values


def test_columns_and_fields_of_functions(synthetic: Synthetic, reader: Reader) -> None:
    report = section("The report")
    (stats,) = function_stats(reader, synthetic.process)
    of_function = {"function", "linkage_name", "module", "file", "line"}
    assert codes(report) == function_fields(stats).keys() - of_function
    names = {name.strip() for cell in column(report, 0) for name in cell.split(",")}
    assert names == {each.heading for each in _COLUMNS} - {"FUNCTION", "WHERE"}
