"""Arguments and return values, through the whole of it: each call's values follow from its first argument."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.captured_calls import arguments_of
from tests.support.collector import AGENT, PATIENCE_S, Collector, command, wait_until

FLAGS = ("-finstrument-functions", "-pthread")
BUILDS = [("-O0", *FLAGS), ("-O2", *FLAGS)]
PLUGIN = ("-O1", "-finstrument-functions", "-shared", "-fPIC")
CALLS = 200


@pytest.fixture(scope="module")
def collector() -> Any:
    """One that looks for plans where no other test does."""
    with Collector() as running:
        yield running


@pytest.fixture
def program(build: Callable[..., Path]) -> Path:
    return build("values.c", *BUILDS[0])


# --- what is right ---


def check_mix(call: dict[str, Any], number: int, returned: tuple[str, ...]) -> None:
    """Compares a call of mix() with what it was passed and returned."""
    text = f"n{number}"
    assert [(each["name"], each["type"]) for each in call["arguments"]] == [
        ("number", "int"),
        ("text", "const char *"),
        ("half", "double"),
    ]
    assert arguments_of(call) == {"number": number, "text": text, "half": number / 2}
    value = call["return_value"]
    assert value["type"] == "int"
    assert [key for key in value if key in returned]
    assert value.get("value", 3 * number + len(text)) == 3 * number + len(text)


def check_all(
    calls: list[dict[str, Any]], begin: int, end: int, returned: tuple[str, ...] = ("value",)
) -> None:
    """Compares all calls of mix(); `returned` is what may be known of what they return."""
    assert [call["function"] for call in calls] == ["mix"] * (end - begin)
    for number, call in enumerate(calls, begin):
        check_mix(call, number, returned)


# --- calltrace record ---


class Recording:
    """`calltrace record` with a database and a cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "calls.db"
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}

    def run(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command("calltrace"), "record", "--db", str(self.database), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env={**self.environment, **environment},
            timeout=PATIENCE_S,
        )

    def _query(self, *options: str) -> str:
        done = subprocess.run(
            [*command("calltrace"), "query", "--db", str(self.database), *options],
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE_S,
        )
        return done.stdout

    def calls(self, *options: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._query("--format", "jsonl", *options).splitlines()]

    def tree(self) -> str:
        return self._query()


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return Recording(tmp_path)


@pytest.mark.parametrize("flags", BUILDS, ids=["O0", "O2"])
def test_record_shows_what_was_passed_and_returned(
    build: Callable[..., Path], recording: Recording, flags: tuple[str, ...]
) -> None:
    program = build("values.c", *flags)
    done = recording.run("--args", "--", program, "count", str(CALLS))
    planned = f"calltrace: planning the capture of values in {program.name}\n"
    assert (done.returncode, done.stderr) == (0, planned)
    # An optimizing compiler may work out the result behind the hook.
    returned = ("value",) if "-O0" in flags else ("value", "unavailable")
    check_all(recording.calls(), 0, CALLS, returned)
    tree = recording.tree()
    assert 'mix(number=11, text="n11", half=5.5) = ' in tree
    if "-O0" in flags:
        assert " = 36\n" in tree


def test_a_plan_is_made_once(program: Path, recording: Recording) -> None:
    assert recording.run("--args", "--", program, "count", "1").stderr != ""
    assert recording.run("--args", "--", program, "count", "2").stderr == ""
    check_all(recording.calls(), 0, 2)


def test_without_the_option_there_are_no_values(program: Path, recording: Recording) -> None:
    assert recording.run("--", program, "count", "3", CALLTRACE_CAPTURE_ARGS="0").stderr == ""
    calls = recording.calls()
    assert [(call["arguments"], call["return_value"]) for call in calls] == [([], None)] * 3


def test_functions_by_pattern(program: Path, recording: Recording) -> None:
    recording.run("--args=x*,m?x", "--", program, "count", "5")
    check_all(recording.calls(), 0, 5)


def test_patterns_that_match_nothing_are_told_of(program: Path, recording: Recording) -> None:
    done = recording.run("--args=other", "--", program, "count", "5")
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == (
        f"calltrace: no arguments or return values: no function of {program} and its libraries matches other"
    )
    assert [call["arguments"] for call in recording.calls()] == [[]] * 5


def test_a_program_without_debug_information_is_told_of(
    build: Callable[..., Path], recording: Recording
) -> None:
    program = build("values.c", "-g0", *FLAGS)
    done = recording.run("--args", "--", program, "count", "5")
    assert done.returncode == 0
    assert "no debug information" in done.stderr.splitlines()[-1]
    assert [call["arguments"] for call in recording.calls()] == [[]] * 5


def test_a_pattern_that_makes_no_sense_starts_nothing(program: Path, recording: Recording) -> None:
    done = recording.run("--args=a[b", "--", program, "count", "5")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert not recording.database.exists()


# --- a collector that serves ---


def run(collector: Collector, *arguments: str | Path, **environment: str) -> tuple[int, str]:
    return collector.run(*arguments, CALLTRACE_CAPTURE_ARGS="1", **environment)


@pytest.mark.parametrize("overflow", ["block", "drop"])
def test_a_program_that_sends_to_a_collector(collector: Collector, program: Path, overflow: str) -> None:
    pid, _ = run(collector, program, "count", str(CALLS), CALLTRACE_OVERFLOW=overflow)
    check_all(collector.calls(pid), 0, CALLS)


def test_threads(collector: Collector, program: Path) -> None:
    pid, _ = run(collector, program, "threads", "8", str(CALLS))
    calls = collector.calls(pid)
    calls.sort(key=lambda call: int(arguments_of(call)["number"]))
    check_all(calls, 0, 8 * CALLS)


def test_a_forked_child(collector: Collector, program: Path) -> None:
    pid, printed = run(collector, program, "fork", str(CALLS))
    child = int(printed)
    collector.wait_for_end(child)
    check_all(collector.calls(pid), 0, CALLS)
    check_all(collector.calls(child), CALLS, 2 * CALLS)


def test_the_next_image_of_a_process(collector: Collector, program: Path) -> None:
    traced = collector.spawn(program, "exec", str(CALLS), CALLTRACE_CAPTURE_ARGS="1")
    traced.communicate(timeout=PATIENCE_S)

    def images() -> list[dict[str, Any]]:
        return [process for process in collector.processes() if process["pid"] == traced.pid]

    wait_until(lambda: {image["state"] for image in images()} == {"exited", "execed"}, "both to end")
    for image in images():
        done = collector.ask("query", "--process", str(image["process"]), "--format", "jsonl")
        check_all([json.loads(line) for line in done.stdout.splitlines()], 0, CALLS)


def test_a_process_that_is_killed(collector: Collector, program: Path) -> None:
    killed = collector.spawn(program, "kill", str(CALLS), CALLTRACE_CAPTURE_ARGS="1")
    killed.communicate(timeout=PATIENCE_S)
    collector.wait_for_end(killed.pid)
    *calls, last = collector.calls(killed.pid)
    check_all(calls, 0, CALLS)
    assert last["status"] == "open"
    assert arguments_of(last) == {"number": CALLS, "text": f"n{CALLS}", "half": CALLS / 2}
    assert last["return_value"] is None


def test_a_library_that_is_loaded_later(
    collector: Collector, build: Callable[..., Path], program: Path
) -> None:
    pid, _ = run(collector, program, "load", build("values_plugin.c", *PLUGIN), str(CALLS))
    calls = collector.calls(pid)
    assert len(calls) == CALLS
    for number, call in enumerate(calls):
        assert arguments_of(call) == {"pair": {"x": number, "y": number / 4}, "factor": 2}
        assert call["return_value"]["value"] == 2 * (number + number / 4)


def turns(collector: Collector, program: Path, **environment: str) -> subprocess.Popen[str]:
    """The fixture's way `turns`: calls when the test says so."""
    traced = {"LD_PRELOAD": str(AGENT), "CALLTRACE_CAPTURE_ARGS": "1"}
    return subprocess.Popen(
        [str(program), "turns"],
        env={**collector.environment, **traced, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def write_turn(program: subprocess.Popen[str], count: int) -> None:
    """Asks for so many calls."""
    assert program.stdin is not None
    program.stdin.write(f"{count}\n")
    program.stdin.flush()


def read_turn(program: subprocess.Popen[str]) -> None:
    """Waits until they are made."""
    assert program.stdout is not None
    assert program.stdout.readline()


def turn(program: subprocess.Popen[str], count: int) -> None:
    """Has so many calls made."""
    write_turn(program, count)
    read_turn(program)


def test_another_collector_goes_on_where_the_last_one_was_killed(program: Path) -> None:
    with Collector() as collector:
        traced = turns(collector, program)
        for _ in range(3):
            turn(traced, CALLS)
            collector.kill()
            turn(traced, CALLS)
            collector.start()
        turn(traced, CALLS)
        _, errors = traced.communicate(timeout=PATIENCE_S)
        assert (traced.returncode, errors) == (0, "")
        collector.wait_for_end(traced.pid)
        check_all(collector.calls(traced.pid), 0, 7 * CALLS)


def check_or_empty(calls: list[dict[str, Any]]) -> int:
    """Compares the calls of mix() that have values, and returns how many these are."""
    shown = 0
    for number, call in enumerate(calls):
        assert arguments_of(call) in ({}, {"number": number, "text": f"n{number}", "half": number / 2})
        returned = call["return_value"]
        assert returned is None or returned["value"] == 3 * number + len(f"n{number}")
        shown += returned is not None and bool(arguments_of(call))
    return shown


def test_a_collector_that_is_gone_is_not_waited_for_and_the_next_one_brings_plans(program: Path) -> None:
    with Collector() as collector:
        collector.pause()
        traced = turns(collector, program, CALLTRACE_CAPTURE_WAIT="86400")
        write_turn(traced, 1)
        wait_until(lambda: list(collector.sessions.glob("*/*/session")), "the session to begin")
        collector.kill()
        read_turn(traced)
        collector.start()

        def is_shown() -> bool:
            turn(traced, CALLS)
            return check_or_empty(collector.calls(traced.pid)) > 0

        wait_until(
            lambda: any(process["pid"] == traced.pid for process in collector.processes()), "it to come"
        )
        wait_until(is_shown, "values to be shown")
        traced.communicate(timeout=PATIENCE_S)


def test_a_program_that_does_not_wait_for_plans_has_right_values_or_none(
    collector: Collector, program: Path
) -> None:
    pid, _ = run(collector, program, "count", "20000", CALLTRACE_CAPTURE_WAIT="0")
    calls = collector.calls(pid)
    assert len(calls) == 20000
    check_or_empty(calls)


def test_a_file_that_was_rebuilt_meanwhile_is_not_used(
    collector: Collector, build: Callable[..., Path], program: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "rebuilt"
    shutil.copy(program, copy)
    traced = turns(collector, copy)
    assert traced.stdin is not None
    # Not overwritten, which is refused while it runs.
    shutil.copy(build("values.c", *BUILDS[1]), tmp_path / "new")
    (tmp_path / "new").rename(copy)
    turn(traced, CALLS)
    _, errors = traced.communicate(timeout=PATIENCE_S)
    assert (traced.returncode, errors) == (0, "")
    collector.wait_for_end(traced.pid)
    calls = collector.calls(traced.pid)
    assert [(call["arguments"], call["return_value"]) for call in calls] == [([], None)] * CALLS
    assert f"no arguments or return values: {copy}" in collector.log()
