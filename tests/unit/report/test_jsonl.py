"""Calls as JSON hold what the contract promises, as the list of all calls has it."""

import io
import json
from typing import Any

import pytest

from calltrace_collector.core.twin import LOST, OPEN, Call
from calltrace_collector.model.capture import How, Item, Layout, Plan, Type, TypeKind
from calltrace_collector.model.process import CallStatus
from calltrace_collector.query.calls import Search
from calltrace_collector.query.filters import CallFilter
from calltrace_collector.query.recording import Recording
from calltrace_collector.report.jsonl import CallLines, write_calls
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.support.synthetic import MODULE, SOURCE, TICKS_PER_NS, Synthetic, function

FUNCTIONS = [function("main", line=3), function('odd "name" \\ λ\n', "_ZoddE", line=5)]


def expected(synthetic: Synthetic, call: Call, thread: int) -> dict[str, Any]:
    its = synthetic.functions[synthetic.name(call)]
    start_ns = synthetic.unix_ns(call.start_ticks)
    duration_ns = synthetic.unix_ns(call.end_ticks) - start_ns
    return {
        "call": thread * 2**40 + call.call,
        "parent": thread * 2**40 + call.parent.call if call.parent else None,
        "process": synthetic.process,
        "pid": 4242,
        "tid": 100 + thread,
        "depth": call.depth,
        "function": its.name,
        "module": MODULE,
        "file": SOURCE,
        "line": its.line,
        "call_site": {
            "function": f"caller_{synthetic.line(call)}",
            "file": SOURCE,
            "line": synthetic.line(call),
        },
        "start_ns": start_ns,
        "duration_ns": None if call.status in (LOST, OPEN) else duration_ns,
        "self_ns": None if call.status in (LOST, OPEN) else min(duration_ns, call.self_ticks // TICKS_PER_NS),
        "status": list(CallStatus)[call.status].value,
        "arguments": [],
        "return_value": None,
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("as_array", [False, True])
def test_all_fields_of_all_calls(writer: Writer, reader: Reader, seed: int, as_array: bool) -> None:
    synthetic = Synthetic(writer, FUNCTIONS, threads=2)
    synthetic.at_random(seed, 800)
    synthetic.commit()
    recording = Recording(reader, reader.processes()[0])
    made, matcher = CallLines(recording), recording.matcher(CallFilter())
    out = io.StringIO()
    objects = (
        line
        for thread in recording.threads
        for block in Search(recording, thread, matcher).blocks()
        for line in made.lines(block, block.hits)
    )
    written = write_calls(objects, out, as_array=as_array)
    text = out.getvalue()
    found = json.loads(text) if as_array else [json.loads(line) for line in text.splitlines()]
    assert found == [
        expected(synthetic, call, thread) for thread in range(2) for call in synthetic.calls(thread)
    ]
    assert written == len(found) > 200
    assert {call["status"] for call in found} >= {"returned", "open", "abandoned", "lost", "cut"}
    assert list(found[0]) == list(expected(synthetic, synthetic.calls()[0], 0))


INT = Type(TypeKind.INTEGER, "int", 4, signed=True)
PLAN = Plan(
    layouts=(
        Layout(
            (
                Item("x", INT, How.VALUE, 4),
                Item("y", INT, How.NONE, unavailable="it is gone"),
                Item("s", Type(TypeKind.POINTER, "char *", 8), How.TEXT),
            )
        ),
        Layout((Item("", INT, How.VALUE, 4),)),
    )
)


def test_captured_values(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, FUNCTIONS, plan=PLAN, chunk_rows=2)
    synthetic.enter("main", captured=synthetic.captured(0, b'\0\xff\xff\xff\xff\0\2\0"\xe9'))
    synthetic.enter("main")
    synthetic.leave(captured=synthetic.captured(1, b"\0\7\0\0\0"))
    synthetic.enter("main")
    synthetic.leave(captured=synthetic.captured(1, b"\3"))
    synthetic.commit()
    synthetic.leave(captured=synthetic.captured(1, b"\0\0\0\0\x80"))
    synthetic.commit()
    recording = Recording(reader, reader.processes()[0])
    made, matcher = CallLines(recording), recording.matcher(CallFilter())
    found = [
        json.loads(line)
        for block in Search(recording, recording.threads[0], matcher).blocks()
        for line in made.lines(block, block.hits)
    ]
    assert [call["arguments"] for call in found] == [
        [
            {"name": "x", "type": "int", "value": -1},
            {"name": "y", "type": "int", "unavailable": "it is gone"},
            {"name": "s", "type": "char *", "value": '"\\xe9'},
        ],
        [],
        [],
    ]
    assert [call["return_value"] for call in found] == [
        {"type": "int", "value": -(2**31)},
        {"type": "int", "value": 7},
        {"type": "int", "unavailable": "its memory could not be read"},
    ]
    assert [list(call) for call in found] == [list(expected(synthetic, synthetic.calls()[0], 0))] * 3


@pytest.mark.parametrize(
    ("number", "as_array", "text"),
    [
        (0, False, ""),
        (0, True, "[]\n"),
        (1, False, "0\n"),
        (1, True, "[\n0\n]\n"),
        (3, False, "0\n1\n2\n"),
        (3, True, "[\n0,\n1,\n2\n]\n"),
    ],
)
def test_lines_and_arrays(number: int, as_array: bool, text: str) -> None:
    out = io.StringIO()
    assert write_calls(map(str, range(number)), out, as_array=as_array) == number
    assert out.getvalue() == text


@pytest.mark.parametrize("as_array", [False, True])
def test_more_than_is_written_at_once(as_array: bool) -> None:
    out = io.StringIO()
    write_calls(map(str, range(10_000)), out, as_array=as_array)
    text = out.getvalue()
    assert (json.loads(text) if as_array else list(map(int, text.split()))) == list(range(10_000))
