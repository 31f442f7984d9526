"""Processes as JSON and as a table."""

import io

import pytest

from calltrace_collector.model.process import Host, ProcessState
from calltrace_collector.report.processes import print_processes, process_fields
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.support.synthetic import Synthetic, function

FUNCTIONS = [function("f")]


def test_fields(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, FUNCTIONS, threads=2)
    synthetic.enter("f")
    synthetic.leave(1_999_999_998)
    synthetic.mark("DROPPED", 7)
    synthetic.end(ProcessState.CRASHED, signal=11)
    assert process_fields(reader.processes()[0]) == {
        "process": 1,
        "host": "workshop",
        "pid": 4242,
        "ppid": 1,
        "parent": None,
        "began_by": None,
        "exe": "/opt/prog/prog",
        "argv": ["prog", "two words"],
        "started_at": "2023-11-14T22:13:19.000000000Z",
        "ended_at": "2023-11-14T22:13:21.999999999Z",
        "state": "crashed",
        "exit_code": None,
        "signal": 11,
        "threads": 2,
        "calls": 1,
        "lost_events": 7,
    }


def test_a_running_process_has_no_end(writer: Writer, reader: Reader) -> None:
    Synthetic(writer, FUNCTIONS)
    fields = process_fields(reader.processes()[0])
    assert (fields["state"], fields["ended_at"], fields["exit_code"], fields["signal"]) == (
        "running",
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("state", "how", "words"),
    [
        (ProcessState.EXITED, {"exit_code": 3}, "exited 3"),
        (ProcessState.EXITED, {}, "exited"),
        (ProcessState.KILLED, {"signal": 9}, "killed by SIGKILL"),
        (ProcessState.KILLED, {}, "killed"),
        (ProcessState.CRASHED, {"signal": 77}, "crashed by signal 77"),
        (ProcessState.EXECED, {}, "execed"),
    ],
)
def test_table(writer: Writer, reader: Reader, state: ProcessState, how: dict[str, int], words: str) -> None:
    Synthetic(writer, FUNCTIONS).end(state, **how)
    out = io.StringIO()
    print_processes(reader.processes(), out)
    heading, row = out.getvalue().splitlines()
    assert heading.split() == [
        "PROCESS",
        "PID",
        "STARTED",
        "(UTC)",
        "RAN",
        "STATE",
        "THREADS",
        "CALLS",
        "LOST",
        "COMMAND",
    ]
    assert row.split() == f"1 4242 2023-11-14 22:13:19 1.000 s {words} 1 0 0 prog 'two words'".split()


def test_hosts_are_shown_when_there_are_several(writer: Writer, reader: Reader) -> None:
    Synthetic(writer, FUNCTIONS, session="a")
    Synthetic(writer, FUNCTIONS, session="b", host=Host("attic", "other", "boot", "6"))
    out = io.StringIO()
    print_processes(reader.processes(), out)
    heading, *rows = out.getvalue().splitlines()
    assert "HOST" in heading
    assert {row.split()[2] for row in rows} == {"workshop", "attic"}
