"""A collector and a database of a test's own, used the way a user uses them: by the command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
AGENT = ROOT / "calltrace_collector" / "libcalltrace.so"
PATIENCE_S = 120.0
"""How long anything may take before a test gives it up; nothing waits this long unless it hangs."""


def command(program: str) -> list[str]:
    """Returns how to start one of the project's two programs: `calltrace` or `collector`."""
    return [sys.executable, "-m", f"calltrace_collector.cli.{program}"]


def wait_until(condition: Any, what: str) -> Any:
    """Returns the condition's first true value."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.005)  # between two looks, not instead of one
    raise TimeoutError(what)


class Collector:
    """`calltrace-collector serve` with a database, a socket and a folder for sessions of its own.

    Args:
        database: the SQLite file; by default one in a new folder.
        sessions: the folder for sessions; by default a new one.
    """

    def __init__(self, database: Path | None = None, sessions: Path | None = None) -> None:
        # Not pytest's own folder, whose path may be longer than a socket's may be.
        self.folder = Path(tempfile.mkdtemp(prefix="ct-"))
        self.socket = self.folder / "collector.sock"
        self.database = database or self.folder / "calls.db"
        self.sessions = sessions or Path(tempfile.mkdtemp(prefix="ct-", dir="/dev/shm"))
        self._log = (self.folder / "log").open("w+b")
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a traced program needs to be told; and where Python and the collector keep what they make."""
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {
            **inherited,
            "PYTHONPYCACHEPREFIX": str(ROOT / "build" / "pycache"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "CALLTRACE_SOCKET": str(self.socket),
            "CALLTRACE_SHM_DIR": str(self.sessions),
        }

    @property
    def pid(self) -> int:
        """The process id of the collector that runs."""
        assert self._server is not None
        return self._server.pid

    def start(self) -> None:
        """Starts the collector; returns when it serves."""
        self._server = subprocess.Popen(
            [*command("collector"), "serve", "--db", str(self.database), "--socket", str(self.socket)],
            stderr=self._log,
            stdout=self._log,
            env=self.environment,
        )
        wait_until(self._serves, "the collector to serve")

    def _serves(self) -> bool:
        assert self._server is not None
        if self._server.poll() is not None:
            raise RuntimeError(f"the collector ended: {self.log()}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(self.socket))
            except OSError:
                return False
        return True

    def stop(self) -> int:
        """Ends the collector with SIGTERM; returns its exit status."""
        assert self._server is not None
        self._server.terminate()
        status = self._server.wait(PATIENCE_S)
        self._server = None
        return status

    def kill(self) -> None:
        """Kills the collector with SIGKILL."""
        assert self._server is not None
        self._server.kill()
        self._server.wait()
        self._server = None

    def pause(self) -> None:
        """Stops the collector with SIGSTOP."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on."""
        assert self._server is not None
        self._server.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """What the collector has said so far."""
        return Path(self._log.name).read_text()

    # --- programs ---

    def spawn(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        """Starts a program with the agent."""
        return subprocess.Popen(
            [str(argument) for argument in arguments],
            env={**self.environment, "LD_PRELOAD": str(AGENT), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str | Path, **environment: str) -> tuple[int, str]:
        """Runs a program with the agent, to its end in the database; returns its pid and its output.

        The program must succeed and say nothing on standard error.
        """
        program = self.spawn(*arguments, **environment)
        output, errors = program.communicate(timeout=PATIENCE_S)
        assert (program.returncode, errors) == (0, ""), (program.returncode, errors, self.log())
        assert self.wait_for_end(program.pid)["state"] == "exited"
        return program.pid, output

    # --- answers ---

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a `calltrace` command on the database."""
        name, *rest = arguments
        return subprocess.run(
            [*command("calltrace"), name, "--db", str(self.database), *rest],
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
            timeout=PATIENCE_S,
        )

    def _answer(self, *arguments: str) -> str:
        done = self.ask(*arguments)
        assert (done.returncode, done.stderr) == (0, ""), (arguments, done.stderr, self.log())
        return done.stdout

    def processes(self) -> list[dict[str, Any]]:
        """`calltrace ps`."""
        answer: list[dict[str, Any]] = json.loads(self._answer("ps", "--format", "json"))
        return answer

    def process(self, pid: int) -> dict[str, Any]:
        """`calltrace ps` of one process."""
        (found,) = [process for process in self.processes() if process["pid"] == pid]
        return found

    def wait_for_end(self, pid: int) -> dict[str, Any]:
        """Waits until a process is stored as ended; returns what `calltrace ps` says of it."""

        def ended() -> bool:
            # Not by `calltrace ps`, which takes a processor to itself for half a second.
            with closing(sqlite3.connect(self.database)) as database:
                query = "select 1 from process where pid = ? and state <> 'running'"
                return database.execute(query, (pid,)).fetchone() is not None

        wait_until(ended, f"process {pid} to end in the database")
        return self.process(pid)

    def report(self, pid: int) -> list[dict[str, Any]]:
        """`calltrace report`."""
        answer: list[dict[str, Any]] = json.loads(
            self._answer("report", "--pid", str(pid), "--format", "json")
        )
        return answer

    def calls(self, pid: int, *options: str) -> list[dict[str, Any]]:
        """`calltrace query --format jsonl`."""
        lines = self._answer("query", "--pid", str(pid), "--format", "jsonl", *options).splitlines()
        return [json.loads(line) for line in lines]

    def threads(self, pid: int) -> list[dict[str, Any]]:
        """`calltrace threads`."""
        answer: list[dict[str, Any]] = json.loads(
            self._answer("threads", "--pid", str(pid), "--format", "json")
        )
        return answer

    def count_lines(self, pid: int, text: str) -> int:
        """How many lines of `calltrace query --format jsonl` hold a text, however many there are."""
        arguments = ["query", "--db", str(self.database), "--pid", str(pid), "--format", "jsonl"]
        with subprocess.Popen(
            [*command("calltrace"), *arguments],
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=self.environment,
            text=True,
        ) as lister:
            assert lister.stdout is not None
            count = sum(text in line for line in lister.stdout)
        assert lister.returncode == 0, self.log()
        return count

    def close(self) -> None:
        """Removes all that was made."""
        self._log.close()
        shutil.rmtree(self.folder)
        shutil.rmtree(self.sessions, ignore_errors=os.path.ismount(self.sessions))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self.stop()
        self.close()
