"""How processes ended, compared with what their parent is told."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from calltrace_collector.ingest.ending import (
    LOOKS_APART_NS,
    ProcessWatch,
    end_from_wait_status,
    read_start_time,
)
from calltrace_collector.model.process import ProcessState
from tests.support.collector import wait_until
from tests.unit.ingest.test_vital_signs import PID, RUNNING, SIGNALED, START, stat_line


def start(script: str) -> tuple[subprocess.Popen[bytes], ProcessWatch]:
    """A shell that waits for its standard input to close, then does what the script says."""
    process = subprocess.Popen(["sh", "-c", f"read x; {script}"], stdin=subprocess.PIPE)
    start_time = read_start_time(process.pid)
    assert start_time is not None
    return process, ProcessWatch(process.pid, start_time)


def wait_until_later() -> None:
    """Returns when so much time has passed that another look counts."""
    since_ns = time.monotonic_ns()
    wait_until(lambda: time.monotonic_ns() - since_ns > LOOKS_APART_NS, "time to pass")


@pytest.mark.parametrize("reaped", [False, True])
@pytest.mark.parametrize(
    ("script", "state", "exit_code", "number"),
    [
        ("exit 7", ProcessState.EXITED, 7, None),
        ("kill -KILL $$", ProcessState.KILLED, None, signal.SIGKILL),
        ("kill -SEGV $$", ProcessState.CRASHED, None, signal.SIGSEGV),
    ],
)
def test_the_end_is_what_the_parent_is_told(
    script: str, state: ProcessState, exit_code: int | None, number: int | None, *, reaped: bool
) -> None:
    process, watch = start(script)
    with watch:
        assert watch.is_alive()
        assert process.stdin is not None
        process.stdin.close()
        wait_until(lambda: not watch.is_alive(), "the process to end")
        if reaped:
            process.wait()
        end = watch.end()
        assert (end.state, end.exit_code, end.signal) == (state, exit_code, number)
    process.wait()


def test_an_image_that_is_gone_while_its_process_lives_was_replaced() -> None:
    process, watch = start("exec sleep 100")
    with watch:
        assert not watch.is_settled()
        wait_until(watch.is_settled, "two looks")
        assert watch.end().state == ProcessState.EXECED
        process.kill()
        process.communicate()
        assert watch.is_settled()
        assert watch.end().state == ProcessState.EXECED


def test_a_process_that_dies_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / str(PID)
    folder.mkdir()
    living, dying = stat_line(RUNNING), stat_line(SIGNALED)
    with ProcessWatch(PID, START, tmp_path) as watch:
        for line in [living, *[dying] * 10, living]:
            (folder / "stat").write_text(line)
            assert watch.is_alive()
            assert not watch.is_settled()
            wait_until_later()
        (folder / "stat").write_text(dying)
        assert not watch.is_settled()
        (folder / "stat").write_text(stat_line(SIGNALED, "Z", threads=1))
        assert watch.is_settled()
        end = watch.end()
    assert (end.state, end.signal) == (ProcessState.CRASHED, signal.SIGSEGV)


def test_another_process_with_the_same_pid_is_not_the_one_meant() -> None:
    with ProcessWatch(os.getpid(), start_time_jiffies=1) as watch:
        assert not watch.is_alive()
        end = watch.end()
    assert (end.state, end.exit_code, end.signal) == (ProcessState.KILLED, None, None)


def test_a_core_dump_does_not_hide_the_signal() -> None:
    end = end_from_wait_status(signal.SIGABRT | 0x80, 5)
    assert (end.state, end.signal, end.ended_at_ns) == (ProcessState.CRASHED, signal.SIGABRT, 5)
