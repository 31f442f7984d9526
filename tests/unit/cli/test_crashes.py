"""calltrace crashes and calltrace crash, from the command line to what is printed."""

import json

import pytest

from calltrace_collector.model.commit import Commit, CrashRow
from calltrace_collector.model.process import ClockReading, Host, ProcessState
from calltrace_collector.store.writer import Writer
from tests.support.crash_samples import crash_analysis, crash_record
from tests.support.synthetic import Synthetic, function
from tests.unit.cli.conftest import Ask

SECOND_NS = 1_000_000_000


@pytest.fixture
def crashed(writer: Writer) -> None:
    """Three processes that crashed a second after each other, on two machines, and one that did not."""
    for number in range(4):
        host = Host(["one", "two"][number % 2], str(number % 2), f"boot {number}", "6")
        synthetic = Synthetic(writer, [function("f")], session=str(number), pid=100 + number, host=host)
        synthetic.enter("f")
        ticks = synthetic.twin.threads[0].last_ticks
        synthetic.end(ProcessState.CRASHED, signal=11)
        record = crash_record(clock=ClockReading(ticks, 1, 1))
        row = CrashRow(record, number * SECOND_NS, crash_analysis(reason=f"reason {number}"))
        if number < 3:
            writer.commit([Commit(synthetic.process, 1, crash=row)])


@pytest.mark.usefixtures("crashed")
@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], [3, 2, 1]),
        (["--limit", "2"], [3, 2]),
        (["--pid", "101"], [2]),
        (["--host", "one"], [3, 1]),
        (["--since", "1970-01-01T00:00:01Z"], [3, 2]),
        (["--until", "1970-01-01T00:00:01Z"], [2, 1]),
    ],
)
def test_crashes(ask: Ask, arguments: list[str], found: list[int]) -> None:
    answer = ask("crashes", "--format", "json", *arguments)
    assert (answer.status, answer.err) == (0, "")
    crashes = json.loads(answer.out)
    assert [crash["process"] for crash in crashes] == found
    lines = ask("crashes", "--format", "jsonl", *arguments).out.splitlines()
    assert [json.loads(line) for line in lines] == crashes
    rows = ask("crashes", *arguments).out.splitlines()[1:]
    assert [int(row.split()[2]) for row in rows] == found


@pytest.mark.usefixtures("crashed")
def test_no_such_crash(ask: Ask) -> None:
    for arguments in (["--pid", "5"], ["--host", "three"], ["--since", "2023-01-01"]):
        answer = ask("crashes", *arguments)
        assert answer.status == 1
        assert answer.err == "calltrace: no such crash is stored: calltrace crashes lists all\n"
    answer = ask("crash", "--process", "4")
    assert answer.status == 1
    assert answer.err.startswith("calltrace: process 4 (pid 103) has left no record of a crash: ")


@pytest.mark.usefixtures("writer")
def test_nothing_is_stored_yet(ask: Ask) -> None:
    for form, out in (("json", "[]\n"), ("jsonl", "")):
        answer = ask("crashes", "--format", form)
        assert (answer.status, answer.out) == (0, out)
    answer = ask("crashes")
    assert (answer.status, answer.out) == (0, "")
    assert answer.err.startswith("calltrace: no crash is stored in /")
    answer = ask("crash")
    assert answer.status == 1
    assert answer.err.startswith("calltrace: no crash is stored in /")


@pytest.mark.usefixtures("crashed")
@pytest.mark.parametrize(("arguments", "number"), [([], 2), (["--process", "1"], 0), (["--pid", "101"], 1)])
def test_one_crash(ask: Ask, arguments: list[str], number: int) -> None:
    answer = ask("crash", *arguments)
    assert (answer.status, answer.err) == (0, "")
    assert f"\nreason {number}\n" in answer.out
    assert "\nlast calls" in answer.out
    answer = ask("crash", "--format", "json", "--last-calls", "0", *arguments)
    crash = json.loads(answer.out)
    assert (crash["reason"], crash["pid"], crash["last_calls"]) == (f"reason {number}", 100 + number, [])
    assert len(crash["open_calls"][0]["calls"]) == 1
