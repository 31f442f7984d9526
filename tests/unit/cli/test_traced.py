"""The program that is recorded gets what it would get without us: descriptors, signals, a way to end."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

RUN = """
import os, sys
from calltrace_collector.cli.traced import TracedProgram
from calltrace_collector.errors import CalltraceError
try:
    program = TracedProgram(sys.argv[1:], dict(os.environ))
    ended = program.wait()
    state = open(f"/proc/{ended.pid}/stat").read().rpartition(")")[2].split()[0]
    program.bury()
    assert state == "Z" and not os.path.exists(f"/proc/{ended.pid}"), state
    assert os.waitstatus_to_exitcode(ended.wait_status) in {ended.exit_status, 128 - ended.exit_status}
except CalltraceError as error:
    sys.exit(error.message)
print("ended", ended.exit_status, ended.pid, ended.start_time_jiffies)
"""
SIGNALLED = """
import signal, sys
def end(number, frame):
    sys.exit(40 + number)
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, end)
print("ready", flush=True)
while True:
    signal.pause()
"""


def start(program: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def run(*program: str, **options: Any) -> tuple[list[str], str]:
    """What was printed, the last line being the wrapper's, and what went to stderr."""
    out, err = start(program, **options).communicate()
    return out.splitlines(), err


@pytest.mark.parametrize(
    ("program", "status"),
    [(["true"], 0), (["sh", "-c", "exit 77"], 77), (["sh", "-c", "kill -9 $$"], 137), (["/bin/false"], 1)],
)
def test_exit_status(program: list[str], status: int) -> None:
    (line,), err = run(*program)
    assert line.split()[:2] == ["ended", str(status)]
    assert err == ""


def test_pid_and_start_time_are_the_programs() -> None:
    (stat, ended), _ = run("sh", "-c", "read stat < /proc/$$/stat; echo $stat")
    fields = stat.rpartition(")")[2].split()
    assert ended.split()[2:] == [stat.split()[0], fields[19]]


def test_descriptors_are_passed_on() -> None:
    ours, theirs = os.pipe()
    run("sh", "-c", f"echo through > /dev/fd/{theirs}", pass_fds=[theirs])
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        assert pipe.read() == "through\n"


def ignored_signals(text: str) -> int:
    """The bits of signals 1 to 31: the C library keeps the next two to itself."""
    return int(text.split()[1], 16) & 0x7FFF_FFFF


@pytest.mark.parametrize("ignored", [(), (signal.SIGINT, signal.SIGHUP)])
def test_the_program_ignores_what_our_caller_has_us_ignore(ignored: tuple[signal.Signals, ...]) -> None:
    def ignore() -> None:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)

    (line, _), _ = run("grep", "SigIgn", "/proc/self/status", preexec_fn=ignore)
    asked = sum(1 << number - 1 for number in ignored)
    started_with = subprocess.run(
        ["grep", "SigIgn", "/proc/self/status"], capture_output=True, text=True, check=True
    ).stdout
    assert ignored_signals(line) == ignored_signals(started_with) | asked


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_to_us_are_passed_on(number: signal.Signals) -> None:
    with start([sys.executable, "-c", SIGNALLED]) as wrapper:
        assert wrapper.stdout is not None
        assert wrapper.stdout.readline() == "ready\n"
        wrapper.send_signal(number)
        assert wrapper.stdout.readline().split()[:2] == ["ended", str(40 + number)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_signals_of_the_terminal_end_the_program_and_not_us(number: signal.Signals) -> None:
    with start([sys.executable, "-c", SIGNALLED]) as wrapper:
        assert wrapper.stdout is not None
        assert wrapper.stdout.readline() == "ready\n"
        os.killpg(wrapper.pid, number)
        assert wrapper.stdout.readline().split()[:2] == ["ended", str(40 + number)]


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (lambda _: "nosuchprogram", "no such program in PATH: nosuchprogram"),
        (lambda folder: f"{folder}/none", "no such program: {path}"),
        (lambda folder: f"{script(folder / 'p', 'x', 0o644)}", "cannot run {path}: Permission denied"),
        (lambda folder: f"{folder}", "cannot run {path}: Permission denied"),
        (
            lambda folder: f"{script(folder / 'p', 'plain text')}",
            "cannot run {path}: neither a program nor a script with a #! line",
        ),
        (
            lambda folder: f"{script(folder / 'p', '#!/no/interpreter')}",
            "cannot run {path}: the interpreter that it names is not there",
        ),
    ],
)
def test_programs_that_cannot_be_run(program: Callable[[Path], str], message: str, tmp_path: Path) -> None:
    path = program(tmp_path)
    out, err = run(path)
    assert out == []
    assert err == message.format(path=path) + "\n"
