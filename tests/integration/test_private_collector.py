"""The collector that `calltrace record` starts for a single run: when it is, when it ends, what it leaves."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.collector import AGENT, Collector, command, wait_until

CALLS = 15
Build = Callable[..., Path]


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which private collectors have theirs, empty again in the end."""
    folder = Path(f"/tmp/ct-{os.getpid()}-{abs(hash(tmp_path)) % 10**6}")
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    wait_until(lambda: not list(folder.iterdir()), f"{folder} to be empty")
    folder.rmdir()


def record(*arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs `calltrace record`."""
    return subprocess.run(
        [*command("calltrace"), "record", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=env,
    )


def ask(name: str, database: Path, *options: str) -> str:
    arguments = [*command("calltrace"), name, "--db", str(database), *options]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout


def processes(database: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(ask("ps", database, "--format", "json"))
    return found


def collectors(folder: Path) -> list[str]:
    """The command lines of the collectors that have their socket in a folder."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"--socket {folder}/" in line:
            lines.append(line)
    return lines


def test_it_is_gone_when_the_command_returns(runtime: Path, build: Build, tmp_path: Path) -> None:
    database = tmp_path / "calls.db"
    assert record("--db", database, build("lifecycle.c"), "exit", "0").returncode == 0
    assert collectors(runtime) == []
    assert list(runtime.iterdir()) == []
    # What was in SQLite's log is in the database itself, which so may be copied.
    assert {path.name for path in tmp_path.iterdir()} == {"calls.db"}


@pytest.mark.usefixtures("runtime")
def test_what_a_script_runs_is_stored_when_the_command_returns(build: Build, tmp_path: Path) -> None:
    database = tmp_path / "calls.db"
    program = build("lifecycle.c")
    done = record("--db", database, "sh", "-c", f"{program} exit 1; {program} exit 2; exit 3")
    assert done.returncode == 3
    assert (
        "calltrace: 0 calls: was it compiled with -finstrument-functions? (sh was not, it seems"
        in done.stderr
    )
    assert "2 processes that it started were traced" in done.stderr
    assert [(process["exit_code"], process["calls"]) for process in processes(database)] == [(2, 15), (1, 15)]


def test_it_stays_for_what_the_program_leaves_behind(runtime: Path, build: Build, tmp_path: Path) -> None:
    database, count = tmp_path / "calls.db", tmp_path / "count"
    count.write_bytes(bytes(8))
    start = f"{build('counted.c')} {count} 0 > /dev/null 2>&1 & echo $!; "
    done = record("--db", database, "sh", "-c", start + f"while cmp -s -n 8 {count} /dev/zero; do :; done")
    pid = int(done.stdout)
    assert done.returncode == 0
    assert len(collectors(runtime)) == 1
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not collectors(runtime), "the collector to end")
    (process,) = processes(database)
    calls = process["calls"]
    assert isinstance(calls, int)
    assert 0 <= calls - int.from_bytes(count.read_bytes()[:8], "little") <= 1


@pytest.mark.usefixtures("runtime")
def test_a_database_that_cannot_be_used_is_told_before_the_program_runs(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database " * 1000)
    ran = tmp_path / "ran"
    done = record("--db", tmp_path / "text.db", "touch", ran)
    assert done.returncode == 1
    assert done.stderr.startswith("calltrace: cannot start a collector: cannot open ")
    assert "not a database" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not ran.exists()


@pytest.mark.usefixtures("runtime")
def test_no_collector_where_it_was_said_to_be(tmp_path: Path) -> None:
    socket = tmp_path / "none"
    done = record("--socket", socket, "true")
    assert done.returncode == 1
    advice = f"run calltrace-collector serve --socket {socket}"
    assert done.stderr == f"calltrace: no collector listens at {socket}: {advice}\n"


@pytest.mark.usefixtures("runtime")
def test_a_database_on_the_command_line_counts_more_than_a_socket_in_the_environment(
    collector: Collector, build: Build, tmp_path: Path
) -> None:
    database = tmp_path / "calls.db"
    before = len(collector.processes())
    record("--db", database, build("lifecycle.c"), "exit", "0", env=collector.environment)
    assert len(processes(database)) == 1
    assert len(collector.processes()) == before
    environment = {**collector.environment, "CALLTRACE_DB": str(database)}
    record(build("lifecycle.c"), "exit", "0", env=environment)
    assert len(collector.processes()) == before + 1


@pytest.mark.usefixtures("runtime")
def test_what_the_agent_is_told(build: Build, tmp_path: Path) -> None:
    database = tmp_path / "calls.db"
    done = record("--db", database, "--max-depth", "1", "--", build("lifecycle.c"), "exit", "0")
    assert done.returncode == 0
    calls = [json.loads(line) for line in ask("query", database, "--format", "jsonl").splitlines()]
    assert {call["depth"] for call in calls} == {0}
    show = 'echo "$LD_PRELOAD|$CALLTRACE_MAX_DEPTH|$CALLTRACE_OVERFLOW"'
    done = record("--db", database, "--overflow", "drop", "sh", "-c", show)
    assert done.stdout == f"{AGENT}||drop\n"
    libc = "libm.so.6"
    done = record("--db", database, "sh", "-c", show, env={**os.environ, "LD_PRELOAD": libc})
    assert done.stdout == f"{libc}:{AGENT}||\n"


@pytest.mark.usefixtures("runtime")
def test_options_of_the_program_are_its_own(tmp_path: Path) -> None:
    for dashes in ([], ["--"]):
        done = record("--db", tmp_path / "calls.db", *dashes, "echo", "--db", "-v", "--help", "--")
        assert done.stdout == "--db -v --help --\n"


@pytest.mark.usefixtures("runtime")
def test_on_a_terminal_it_says_what_was_recorded(build: Build, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    arguments = ["record", "--db", str(tmp_path / "calls.db"), str(build("lifecycle.c")), "exit", "0"]
    subprocess.run([*command("calltrace"), *arguments], stderr=theirs, check=True)
    os.close(theirs)
    said = os.read(ours, 10_000).decode()
    os.close(ours)
    assert said.startswith("calltrace: 15 calls; see them with: calltrace query --pid ")
    assert said.endswith(f" --db {tmp_path}/calls.db\r\n")
