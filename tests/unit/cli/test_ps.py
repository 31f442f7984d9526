"""calltrace ps, from the command line to what is printed."""

import json

import pytest

from calltrace_collector.model.process import ClockReading, Host, ProcessState
from calltrace_collector.store.writer import Writer
from tests.support.synthetic import Synthetic, function
from tests.unit.cli.conftest import Ask


@pytest.fixture
def processes(writer: Writer) -> None:
    """Three processes, begun one after the other on two machines."""
    for number, state in enumerate([ProcessState.EXITED, ProcessState.KILLED, ProcessState.CRASHED]):
        host = Host(["one", "two"][number % 2], str(number % 2), f"boot {number}", "6")
        clock = ClockReading(1, 1, (1_700_000_000 + number) * 10**9)
        synthetic = Synthetic(
            writer, [function("f")], session=str(number), pid=100 + number, host=host, clock=clock
        )
        synthetic.end(state)


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], [3, 2, 1]),
        (["--limit", "2"], [3, 2]),
        (["--pid", "101"], [2]),
        (["--host", "one"], [3, 1]),
        (["--host", "one", "--limit", "1"], [3]),
    ],
)
def test_processes(ask: Ask, arguments: list[str], found: list[int]) -> None:
    answer = ask("ps", "--format", "json", *arguments)
    assert (answer.status, answer.err) == (0, "")
    assert [process["process"] for process in json.loads(answer.out)] == found
    rows = ask("ps", *arguments).out.splitlines()[1:]
    assert [int(row.split()[0]) for row in rows] == found


@pytest.mark.usefixtures("processes")
def test_none_of_that_name(ask: Ask) -> None:
    for arguments in (["--pid", "5"], ["--host", "three"]):
        answer = ask("ps", *arguments)
        assert answer.status == 1
        assert answer.err == "calltrace: no such process is stored: calltrace ps lists all\n"


@pytest.mark.usefixtures("writer")
def test_nothing_is_stored_yet(ask: Ask) -> None:
    answer = ask("ps", "--format", "json")
    assert (answer.status, answer.out, answer.err) == (0, "[]\n", "")
    answer = ask("ps")
    assert (answer.status, answer.out) == (0, "")
    assert answer.err.startswith("calltrace: no process is stored in /")


def test_no_database(ask: Ask) -> None:
    answer = ask("ps")
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith("calltrace: no database at /")
