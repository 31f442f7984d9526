"""Crashes, from the program that crashes to what its user is shown."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.collector import AGENT, PATIENCE_S, Collector, command, wait_until
from tests.support.compile import ROOT

SOURCE = ROOT / "tests/fixtures/crash_scene.c"
FLAGS = ("-O0", "-finstrument-functions", "-pthread")
TICKS = 30


def line_of(text: str) -> int:
    """Where a text stands in the program's source."""
    (found,) = [number for number, line in enumerate(SOURCE.read_text().splitlines(), 1) if text in line]
    return found


def crash_of(collector: Collector, pid: int) -> dict[str, Any]:
    """`calltrace crash`, once the crash has been analyzed."""

    def is_analyzed() -> bool:
        # Not by `calltrace crashes`, which takes a processor to itself for half a second.
        with closing(sqlite3.connect(collector.database)) as database:
            query = "select is_analyzed from crash join process on id = process_id where pid = ?"
            return bool(database.execute(query, (pid,)).fetchone() == (1,))

    wait_until(is_analyzed, f"the crash of process {pid} to be analyzed")
    answer = collector.ask("crash", "--pid", str(pid), "--format", "json")
    assert (answer.returncode, answer.stderr) == (0, ""), collector.log()
    crash: dict[str, Any] = json.loads(answer.stdout)
    return crash


def run(collector: Collector, *arguments: str | Path) -> tuple[int, int]:
    """Runs a program to its end in the database; returns its pid and how it ended."""
    program = collector.spawn(*arguments)
    program.communicate(timeout=PATIENCE_S)
    collector.wait_for_end(program.pid)
    return program.pid, program.returncode


def functions(calls: list[dict[str, Any]]) -> list[str]:
    return [call["function"] for call in calls]


@pytest.fixture(scope="module")
def scene(build: Callable[..., Path]) -> Path:
    return build("crash_scene.c", *FLAGS)


@dataclass(frozen=True)
class Crashed:
    """A process that crashed, and what `calltrace crash` and `calltrace query` say of it."""

    pid: int
    crash: dict[str, Any]
    calls: list[dict[str, Any]]


@pytest.fixture(scope="module")
def plain(collector: Collector, scene: Path) -> Crashed:
    pid, status = run(collector, scene, "plain")
    assert status == -signal.SIGSEGV
    return Crashed(pid, crash_of(collector, pid), collector.calls(pid))


def test_a_crash_is_explained(collector: Collector, scene: Path, plain: Crashed) -> None:
    pid, crash = plain.pid, plain.crash
    end = collector.process(pid)
    assert (end["state"], end["signal"]) == ("crashed", signal.SIGSEGV)
    line, caller = line_of("/* the crash */"), line_of("step((const")
    place = f"step() at crash_scene.c:{line}, called from walk() at crash_scene.c:{caller}"
    assert crash["reason"] == f"SIGSEGV: read of address 0x10 (NULL page) in {place}"
    assert [crash[name] for name in ("signal", "signal_name", "code", "code_name", "fault_address")] == [
        11,
        "SIGSEGV",
        1,
        "SEGV_MAPERR",
        "0x10",
    ]
    assert (crash["thread_id"], crash["thread_name"]) == (pid, scene.name[:15])
    assert (crash["handled"], crash["exception"], crash["abort_message"]) == (False, None, None)
    assert (crash["state"], crash["exit_code"], crash["end_signal"]) == ("crashed", None, 11)
    assert (crash["incomplete"], crash["unwound_until"]) == (None, None)
    assert end["started_at"] < crash["crash_time"] <= end["ended_at"]
    (listed,) = json.loads(collector.ask("crashes", "--pid", str(pid), "--format", "json").stdout)
    assert {name: crash[name] for name in listed} == listed


def test_the_backtrace_is_joined_with_the_calls(scene: Path, plain: Crashed) -> None:
    crash = plain.crash
    traced = crash["backtrace"][:3]
    assert [frame["function_name"] for frame in traced] == ["step", "walk", "main"]
    assert [frame["line"] for frame in traced] == [
        line_of("/* the crash */"),
        line_of("step((const"),
        line_of("    walk();"),
    ]
    assert {Path(frame["file"]) for frame in traced} == {SOURCE}
    assert {frame["library_name"] for frame in traced} == {str(scene)}
    assert [frame["inlined"] for frame in crash["backtrace"]] == [False] * len(crash["backtrace"])
    assert crash["backtrace"][-1]["function_name"] == "_start"
    assert crash["register_context"]["rip"] == traced[0]["address"]
    assert not any(frame["call"] for frame in crash["backtrace"][3:])
    calls = {call["call"]: call for call in plain.calls}
    ours = [calls[frame["call"]] for frame in traced]
    assert functions(ours) == ["step", "walk", "main"]
    assert {call["status"] for call in ours} == {"crashed"}


def test_open_and_last_calls(collector: Collector, plain: Crashed) -> None:
    pid, crash, everything = plain.pid, plain.crash, plain.calls
    crashed, *others = crash["open_calls"]
    assert crashed["crashed"]
    assert crashed["thread_id"] == pid
    assert functions(crashed["calls"]) == ["main", "walk", "step"]
    assert [functions(each["calls"]) for each in others] == [["waiter", "wait_forever"]] * 2
    assert not any(each["crashed"] for each in others)
    is_open = {call["call"] for call in everything if call["duration_ns"] is None}
    assert {call["call"] for each in crash["open_calls"] for call in each["calls"]} == is_open
    assert functions(crash["last_calls"]) == ["tick"] * 19 + ["step"]
    start_ns = {call["call"]: call["start_ns"] for call in everything}
    duration_ns = {call["call"]: call["duration_ns"] for call in everything}
    for call in crash["last_calls"]:
        assert call["start_ns"] == start_ns[call["call"]]
        assert call["duration_ns"] == duration_ns[call["call"]]
        # Both are rounded down, each on its own.
        assert abs(call["start_ns"] + call["before_crash_ns"] - crash["crash_timestamp"]) <= 1
    more = collector.ask("crash", "--pid", str(pid), "--last-calls", "1000", "--format", "json").stdout
    all_of_thread = functions([call for call in everything if call["tid"] == pid])
    assert (
        functions(json.loads(more)["last_calls"])
        == all_of_thread
        == ["main", "walk", *["tick"] * TICKS, "step"]
    )


def test_the_text(collector: Collector, plain: Crashed) -> None:
    pid, crash = plain.pid, plain.crash
    answer = collector.ask("crash", "--pid", str(pid))
    assert (answer.returncode, answer.stderr) == (0, "")
    line = line_of("/* the crash */")
    for part in (
        f"crashed by SIGSEGV\n\n{crash['reason']}\n",
        "\nsignal    SIGSEGV (11), SEGV_MAPERR: ",
        "\naddress   0x10: NULL page\n",
        f"\n* #0  step at {SOURCE}:{line}\n",
        f"\n      > {line} |     sink = *number; /* the crash */\n",
        "\nthread 1 ",
    ):
        assert part in answer.stdout
    again = collector.ask("crash", "--pid", str(pid), "--again").stdout
    assert again == answer.stdout
    rows = [row for row in collector.ask("crashes").stdout.splitlines() if f" {pid} " in row]
    assert [row.endswith(crash["reason"]) for row in rows] == [True]


# --- record ---


def record(database: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command("calltrace"), "record", "--db", str(database), "--", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def show(database: Path, *options: str) -> str:
    """`calltrace crash`."""
    ask = [*command("calltrace"), "crash", "--db", str(database), *options]
    return subprocess.run(ask, capture_output=True, text=True, check=True).stdout


def test_record_says_why_the_program_crashed(tmp_path: Path, scene: Path) -> None:
    database = tmp_path / "calls.db"
    done = record(database, scene, "plain")
    assert done.returncode == 128 + signal.SIGSEGV
    crash = json.loads(show(database, "--format", "json"))
    assert done.stderr == (
        f"calltrace: {scene.name} crashed: {crash['reason']}; "
        f"see calltrace crash --process {crash['process']} --db {database}\n"
    )


@pytest.mark.parametrize(
    ("how", "status", "end"),
    [("exit", 3, ("exited", 3, None)), ("abort", 128 + signal.SIGABRT, ("crashed", None, signal.SIGABRT))],
)
def test_a_program_with_a_handler_of_its_own(
    tmp_path: Path, scene: Path, how: str, status: int, end: tuple[str, int | None, int | None]
) -> None:
    database = tmp_path / "calls.db"
    done = record(database, scene, how)
    assert done.returncode == status
    assert done.stderr.startswith(f"calltrace: {scene.name} had a crash that it handled itself: SIGSEGV: ")
    crash = json.loads(show(database, "--format", "json"))
    assert (crash["signal_name"], crash["handled"]) == ("SIGSEGV", True)
    assert (crash["state"], crash["exit_code"], crash["end_signal"]) == end
    assert functions(crash["open_calls"][0]["calls"]) == ["main", "walk", "step"]
    assert [frame["function_name"] for frame in crash["backtrace"][:3]] == ["step", "walk", "main"]


# --- what is left for the next collector ---


@pytest.fixture
def left_behind(scene: Path) -> Iterator[tuple[Collector, int, Path]]:
    """A collector that is gone, and a process that crashed since: its pid and its session directory."""
    collector = Collector()
    collector.start()
    try:
        program = subprocess.Popen(
            [scene, "late"],
            env={**collector.environment, "LD_PRELOAD": str(AGENT)},
            stdin=subprocess.PIPE,
        )
        wait_until(lambda: collector.database.exists() and collector.processes(), "the process to be known")
        collector.kill()
        program.communicate(b"x", timeout=PATIENCE_S)
        assert program.returncode == -signal.SIGSEGV
        (folder,) = collector.sessions.glob("calltrace-*/*")
        yield collector, program.pid, folder
        if collector._server is not None:
            collector.stop()
    finally:
        collector.close()


def test_a_crash_while_no_collector_runs(left_behind: tuple[Collector, int, Path]) -> None:
    collector, pid, folder = left_behind
    collector.start()
    end = collector.wait_for_end(pid)
    # The program was reaped long ago: the crash is what tells how it ended.
    assert (end["state"], end["signal"]) == ("crashed", signal.SIGSEGV)
    crash = crash_of(collector, pid)
    assert crash["reason"].startswith("SIGSEGV: read of address 0x10 (NULL page) in step() at ")
    assert [frame["function_name"] for frame in crash["backtrace"][:3]] == ["step", "walk", "main"]
    assert functions(crash["open_calls"][0]["calls"]) == ["main", "walk", "step"]
    wait_until(lambda: not folder.exists(), "the session directory to be removed")
    assert collector.log() == ""


@pytest.mark.parametrize("damage", ["flip", "gone"])
def test_a_damaged_crash_file_costs_only_what_is_in_it(
    left_behind: tuple[Collector, int, Path], damage: str
) -> None:
    collector, pid, folder = left_behind
    file = folder / "crash"
    content = bytearray(file.read_bytes())
    file.unlink()
    if damage == "flip":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    collector.start()
    end = collector.wait_for_end(pid)
    assert (end["state"], end["signal"]) == ("crashed", signal.SIGSEGV)
    crash = crash_of(collector, pid)
    assert (crash["signal_name"], crash["fault_address"]) == ("SIGSEGV", "0x10")
    assert crash["incomplete"]
    # The registers are there, and so are the calls; of what is between them, the traced calls tell.
    assert crash["backtrace"][0]["address"] == crash["register_context"]["rip"]
    assert functions(crash["open_calls"][0]["calls"]) == ["main", "walk", "step"]
    assert functions(collector.calls(pid, "--function", "tick")) == ["tick"] * (TICKS + 1)
    wait_until(lambda: not folder.exists(), "the session directory to be removed")
    assert len(collector.log().splitlines()) == (0 if damage == "gone" else 1)


def test_a_crash_with_a_large_memory_is_no_exec(
    collector: Collector, build: Callable[..., Path], tmp_path: Path
) -> None:
    pid, status = run(collector, build("large_crash.c", *FLAGS), "300", tmp_path)
    assert status == -signal.SIGSEGV
    end = collector.process(pid)
    assert (end["state"], end["signal"]) == ("crashed", signal.SIGSEGV)
    for core in tmp_path.glob("core*"):
        core.unlink()
