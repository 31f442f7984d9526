"""Captured values are found for the calls that they are of, wherever these began and ended."""

import pytest

from calltrace_collector.core.twin import Call
from calltrace_collector.errors import StoreError
from calltrace_collector.model.capture import How, Item, Layout, Plan, Type, TypeKind
from calltrace_collector.query.calls import Search
from calltrace_collector.query.captured import Captured, Value
from calltrace_collector.query.filters import CallFilter
from calltrace_collector.query.recording import Recording
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.support.synthetic import Synthetic
from tests.unit.query.brute import FUNCTIONS, SEEDS, passes, random_filter, random_process

INT = Type(TypeKind.INTEGER, "int", 4, signed=True)
CALLBACK = Type(TypeKind.POINTER, "void (*)()", 8, target=Type(TypeKind.FUNCTION, "void ()"))


def layout(*names: str, kind: Type = INT) -> Layout:
    return Layout(tuple(Item(name, kind, How.VALUE, kind.size) for name in names))


PLAN = Plan(layouts=(layout("x"), layout("")))


def shown(values: tuple[Value, ...]) -> list[str]:
    return [f"{value.name}={value.text()}" for value in values]


def expected(call: Call) -> tuple[list[str], str | None]:
    """What is said of a call whose entry left an int by layout 0, and its exit one by layout 1."""
    arguments = [f"x={int.from_bytes(call.arguments[5:], 'little', signed=True)}"] if call.arguments else []
    returned = str(int.from_bytes(call.returned[5:], "little", signed=True)) if call.returned else None
    return arguments, returned


@pytest.mark.parametrize("seed", SEEDS)
def test_values_of_all_calls(writer: Writer, reader: Reader, seed: int) -> None:
    synthetic = Synthetic(writer, FUNCTIONS, threads=2, chunk_rows=[3, 8, 64][seed % 3], plan=PLAN)
    random_process(synthetic, seed)
    recording = Recording(reader, reader.processes()[0])
    for wanted in (CallFilter(), random_filter(synthetic, seed)):
        matcher = recording.matcher(wanted)
        for thread in recording.threads:
            found = []
            for block in Search(recording, thread, matcher).blocks():
                assert block.values is not None
                for arguments, returned in block.values_of(block.hits):
                    text = None if returned is None else returned.text()
                    found.append((shown(arguments), text))
            calls = [call for call in synthetic.calls(thread.number) if passes(synthetic, call, wanted)]
            assert found == [expected(call) for call in calls]
    assert sum(call.returned != b"" for call in synthetic.calls()) > 20
    assert sum(call.arguments != b"" for call in synthetic.calls()) > 50


def test_values_outlive_collectors(writer: Writer, reader: Reader) -> None:
    """Calls begin before one collector carries on where another stopped, and end behind it."""
    synthetic = Synthetic(writer, FUNCTIONS, chunk_rows=8, plan=PLAN)
    for seed in range(12):
        synthetic.at_random(seed, 40)
        synthetic.restart()
    recording = Recording(reader, reader.processes()[0])
    search = Search(recording, recording.threads[0], recording.matcher(CallFilter()))
    found = []
    for block in search.blocks():
        for arguments, returned in block.values_of(block.hits):
            found.append((shown(arguments), None if returned is None else returned.text()))
    assert found == [expected(call) for call in synthetic.calls()]


def test_a_process_without_plans_has_no_values(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, FUNCTIONS)
    random_process(synthetic, 1)
    recording = Recording(reader, reader.processes()[0])
    assert not recording.captured.has_plans
    matcher = recording.matcher(CallFilter())
    assert {block.values for block in Search(recording, recording.threads[0], matcher).blocks()} == {None}


def captured_of(writer: Writer, reader: Reader, *plans: Plan) -> tuple[Captured, Synthetic]:
    synthetic = Synthetic(writer, FUNCTIONS)
    for module, plan in enumerate(plans):
        writer.store_plan(synthetic.process, module, plan)
    synthetic.enter("leaf")
    synthetic.commit()
    return Recording(reader, reader.processes()[0]).captured, synthetic


def test_each_number_has_its_layout(writer: Writer, reader: Reader) -> None:
    plans = [Plan((layout("a"), layout("b"))), Plan((layout("c"),)), Plan((layout("d"), layout("e")))]
    captured, _ = captured_of(writer, reader, *plans)
    for number, name in enumerate("abcde"):
        values = captured.decode(number.to_bytes(4, "little") + b"\0\7\0\0\0")
        assert shown(values) == [f"{name}=7"]


@pytest.mark.parametrize("content", [b"", b"\0\0\0", b"\1\0\0\0\0\0\0\0\0", b"\xff\xff\xff\xff"])
def test_what_has_no_layout_means_nothing(writer: Writer, reader: Reader, content: bytes) -> None:
    captured, _ = captured_of(writer, reader, Plan((layout("a"),)))
    assert captured.decode(content) == ()


def test_pointers_to_functions_have_their_names(writer: Writer, reader: Reader) -> None:
    captured, synthetic = captured_of(writer, reader, Plan((layout("f", kind=CALLBACK),)))
    address = synthetic.twin.sites[0][0]
    for pointed, text in ((address, "leaf"), (address + 1, f"{address + 1:#x}"), (0, "NULL")):
        values = captured.decode(bytes(5) + pointed.to_bytes(8, "little"))
        assert shown(values) == [f"f={text}"]


def test_a_process_that_runs_gets_new_plans(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, FUNCTIONS, chunk_rows=1, plan=PLAN)
    synthetic.enter("leaf", captured=synthetic.captured(0, b"\0\1\0\0\0"))
    synthetic.commit()
    recording = Recording(reader, reader.processes()[0])
    synthetic.enter("leaf", captured=synthetic.captured(2, b"\0\2\0\0\0"))
    synthetic.commit()
    assert writer.store_plan(synthetic.process, 1, Plan((layout("new"),))) == 2
    search = Search(recording, recording.threads[0], recording.matcher(CallFilter()))
    found = [shown(values) for block in search.blocks() for values, _ in block.values_of(block.hits)]
    assert found == [["x=1"], ["new=2"]]


def test_damaged_values_are_said(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, FUNCTIONS, plan=PLAN)
    synthetic.enter("leaf", captured=synthetic.captured(0, b"\0\1\2\3\4"))
    synthetic.commit()
    recording = Recording(reader, reader.processes()[0])
    with writer._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE chunk_values SET captured = x'00'")
    (block,) = Search(recording, recording.threads[0], recording.matcher(CallFilter())).blocks()
    with pytest.raises(StoreError, match="the database is damaged"):
        list(block.values_of(block.hits))
