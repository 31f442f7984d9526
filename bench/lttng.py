"""LTTng-UST (https://lttng.org) with liblttng-ust-cyg-profile-fast, which needs a session daemon."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measurement import BenchError
from bench.peer import Recording
from bench.program import Run, environment, run

LIBRARY = Path("liblttng-ust-cyg-profile-fast.so.1")
EVENTS = "lttng_ust_cyg_profile_fast*"
PATIENCE_S = 10.0


class Lttng:
    """Records entries and exits into a session of our own, of the running daemon's or of one of our own."""

    name = "LTTng-UST"

    def missing(self) -> str:
        if not (shutil.which("lttng") and shutil.which("lttng-sessiond")):
            return "not installed"
        # Only the loader knows where it looks for libraries; what it does not find, it complains of.
        probe = subprocess.run(["true"], env=environment(LIBRARY), capture_output=True, text=True, check=True)
        return f"{LIBRARY} is not installed" if probe.stderr else ""

    @contextmanager
    def recording(self, folder: Path) -> Iterator[Recording]:
        session = f"bench-{os.getpid()}-{folder.name}"
        with _daemon(folder.with_suffix(".pid")):
            _lttng("create", session, "--output", str(folder))
            try:
                _lttng("enable-event", "--userspace", "--session", session, EVENTS)
                _lttng("start", session)
                recording = Recording(_record)
                yield recording
                _lttng("stop", session)
                recording.note = _discarded(_lttng("list", session))
            finally:
                _lttng("destroy", session)


def _record(command: list[str | int]) -> Run:
    return run(command, environment(LIBRARY))


def _discarded(listing: str) -> str:
    for line in listing.splitlines():
        name, _, number = line.strip().partition(": ")
        if name == "Discarded events" and number.strip() != "0":
            return f"{number.strip()} events discarded"
    return ""


def _lttng(*words: str) -> str:
    done = subprocess.run(["lttng", "--no-sessiond", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"lttng {words[0]}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def _daemon(pid_file: Path) -> Iterator[None]:
    """A session daemon: the one that runs, or one of our own."""
    running = subprocess.run(["lttng", "--no-sessiond", "list"], capture_output=True, check=False)
    if running.returncode == 0:
        yield
        return
    command = ["lttng-sessiond", "--daemonize", "--no-kernel", "--pidfile", str(pid_file)]
    subprocess.run(command, capture_output=True, check=True)
    pid = int(pid_file.read_text())
    try:
        yield
    finally:
        os.kill(pid, signal.SIGTERM)
        _wait_for_end(pid)


def _wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            raise BenchError(f"lttng-sessiond, process {pid}, does not end")
        time.sleep(0.01)
