"""calltrace record: the program's own life, with a collector beside it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.collector import Collector, command

CALLS = 15


def record(
    database: Path, *program: str | Path, options: tuple[str, ...] = (), standard_input: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs `calltrace record --db DATABASE OPTIONS -- PROGRAM`."""
    return subprocess.run(
        [*command("calltrace"), "record", "--db", str(database), *options, "--", *map(str, program)],
        capture_output=True,
        text=True,
        check=False,
        input=standard_input,
        timeout=120,
    )


def stored(database: Path) -> list[tuple[Any, ...]]:
    """State, exit code, signal and calls of all processes, oldest first."""
    with closing(sqlite3.connect(database)) as connection:
        query = "select state, exit_code, signal, calls from process order by id"
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("exit_code", [0, 1, 77])
def test_it_exits_as_the_program_does(build: Callable[..., Path], tmp_path: Path, exit_code: int) -> None:
    database = tmp_path / "calls.db"
    done = record(database, build("lifecycle.c"), "exit", str(exit_code))
    assert (done.returncode, done.stderr) == (exit_code, "")
    # Nothing is left to wait for: the last call is in the database when the command returns.
    assert stored(database) == [("exited", exit_code, None, CALLS)]


def test_the_death_of_the_program_is_told_by_128_and_the_signal(tmp_path: Path) -> None:
    done = record(tmp_path / "calls.db", "sh", "-c", "kill -TERM $$")
    assert done.returncode == 128 + signal.SIGTERM


def test_a_program_that_kills_itself_has_all_its_calls_and_its_signal(
    build: Callable[..., Path], tmp_path: Path
) -> None:
    database = tmp_path / "calls.db"
    count = tmp_path / "count"
    count.write_bytes(bytes(8))
    script = f"{build('counted.c')} {count} 0 & while cmp -s -n 8 {count} /dev/zero; do :; done; "
    record(database, "sh", "-c", script + "kill -KILL $!; wait $!")
    ((state, exit_code, _, calls),) = stored(database)
    counted = int.from_bytes(count.read_bytes()[:8], "little")
    assert (state, exit_code) == ("killed", None)
    assert 0 <= calls - counted <= 1


def test_input_output_and_errors_are_the_programs_own(tmp_path: Path) -> None:
    script = "cat; echo to the errors >&2"
    done = record(tmp_path / "calls.db", "sh", "-c", script, standard_input="from the input\n")
    assert done.stdout == "from the input\n"
    assert done.stderr.startswith("to the errors\n")


def test_a_program_without_hooks_is_said_to_have_made_no_calls(tmp_path: Path) -> None:
    done = record(tmp_path / "calls.db", "true")
    assert done.returncode == 0
    assert "0 calls: was it compiled with -finstrument-functions?" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_program_that_is_not_there_is_an_error_of_one_line(tmp_path: Path) -> None:
    done = record(tmp_path / "calls.db", "/no/such/program")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "/no/such/program" in done.stderr


def test_children_are_recorded_with_their_parents(build: Callable[..., Path], tmp_path: Path) -> None:
    database = tmp_path / "calls.db"
    done = record(database, build("lifecycle.c"), "fork")
    assert done.returncode == 0
    assert sorted(calls for _, _, _, calls in stored(database)) == [CALLS, CALLS]


def test_a_collector_that_runs_is_used(collector: Collector, build: Callable[..., Path]) -> None:
    done = subprocess.run(
        [*command("calltrace"), "record", "--", str(build("lifecycle.c")), "exit", "5"],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in collector.environment.items() if name != "CALLTRACE_DB"},
    )
    assert (done.returncode, done.stderr) == (5, "")
    newest = collector.processes()[0]
    assert (newest["exit_code"], newest["calls"]) == (5, CALLS)


def test_nothing_is_left_behind(build: Callable[..., Path], tmp_path: Path) -> None:
    def leftovers() -> set[str]:
        sessions = Path(f"/dev/shm/calltrace-{os.geteuid()}")
        return {path.name for path in sessions.iterdir()} if sessions.exists() else set()

    before = leftovers()
    done = record(tmp_path / "calls.db", build("lifecycle.c"), "exit", "0", options=("--verbose",))
    assert f"{CALLS} calls" in done.stderr
    assert leftovers() <= before


def test_what_was_recorded_can_be_asked_for(build: Callable[..., Path], tmp_path: Path) -> None:
    database = tmp_path / "calls.db"
    record(database, build("lifecycle.c"), "exit", "0")

    def ask(name: str, *options: str) -> str:
        arguments = [*command("calltrace"), name, "--db", str(database), *options]
        return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout

    (process,) = json.loads(ask("ps", "--format", "json"))
    assert set(process) == {
        *("process", "host", "pid", "ppid", "parent", "began_by", "exe", "argv", "started_at", "ended_at"),
        *("state", "exit_code", "signal", "threads", "calls", "lost_events"),
    }
    (function,) = json.loads(ask("report", "--format", "json"))
    assert set(function) == {
        *("function", "linkage_name", "module", "file", "line", "calls", "total_ns", "self_ns"),
        *("min_ns", "max_ns", "p50_ns", "p99_ns"),
    }
    assert (function["function"], function["calls"], function["file"][-11:]) == ("work", CALLS, "lifecycle.c")
    calls = [json.loads(line) for line in ask("query", "--format", "jsonl").splitlines()]
    assert set(calls[0]) == {
        *("call", "parent", "process", "pid", "tid", "depth", "function", "module", "file", "line"),
        *("call_site", "start_ns", "duration_ns", "self_ns", "status", "arguments", "return_value"),
    }
    assert set(calls[0]["call_site"]) == {"function", "file", "line"}
    assert [call["call_site"]["function"] for call in calls[:2]] == ["main", "work"]
    tree = ask("query")
    assert tree.count("work") == CALLS
