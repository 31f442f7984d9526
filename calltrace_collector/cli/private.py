"""A collector for one run of `calltrace record`, when no other is to be had."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from calltrace_collector.errors import UnreachableError

SOCKET_LIMIT_BYTES = 107
"""Longest path of a unix socket (sockaddr_un.sun_path, without the zero at its end)."""
_LAST_LOOK_S = 0.2
_LONGEST_WAIT_S = 60.0
"""For the end of a collector when no process is known to use it."""


class PrivateCollector:
    """A collector in a process of its own, which ends by itself when nobody sends it anything any more.

    It is in a session of its own, so that Ctrl-C stops the program and not the collector. It outlives us
    where the program has left processes behind that go on sending.

    Attributes:
        socket: where it listens.
    """

    def __init__(self, database: str | None) -> None:
        """Starts a collector and waits until it listens.

        Args:
            database: for --db; None: the collector's default.

        Raises:
            UnreachableError: it ended at once; the message is its own.
        """
        self._folder = _private_folder()
        self.socket = self._folder / "collector.sock"
        self._log = self._folder / "log"
        self._ready_fd, their_fd = os.pipe()
        command = [
            *(sys.executable, "-P", "-m", "calltrace_collector.cli.collector", "serve"),
            *("--socket", str(self.socket), "--ready-fd", str(their_fd)),
            *("--until-idle", "--remove", str(self._folder)),
            *(("--db", database) if database else ()),
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[their_fd],
                start_new_session=True,
            )
        os.close(their_fd)
        # Open until nothing more is to come: the collector notices when it is closed.
        if not os.read(self._ready_fd, 1):
            os.close(self._ready_fd)
            self._process.wait()
            raise self._failure()

    def _failure(self) -> UnreachableError:
        said = self._log.read_text(errors="replace").strip().splitlines()
        shutil.rmtree(self._folder, ignore_errors=True)
        reason = said[-1].removeprefix("calltrace-collector: ") if said else "it said nothing"
        return UnreachableError(f"cannot start a collector: {reason}")

    def close(self) -> None:
        """Tells the collector that no more is to come, and waits for its end, which is when all is stored.

        Does not wait for processes that the program has left behind.
        """
        os.close(self._ready_fd)
        wait_s = 0.01
        until_s = time.monotonic() + _LONGEST_WAIT_S
        while self._process.poll() is None and time.monotonic() < until_s and not _is_used(self.socket):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(wait_s)
            wait_s = min(wait_s * 2, _LAST_LOOK_S)
        self._forget()

    def _forget(self) -> None:
        # Left to itself, it is init's to bury; Popen would warn of it otherwise.
        self._process.returncode = self._process.returncode or 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            os.close(self._ready_fd)
            self._forget()


def _private_folder() -> Path:
    """Makes a folder of mode 0700 whose path is short enough for a socket in it."""
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108 mkdtemp's mode is 0700
        if parent and Path(parent).is_dir() and os.access(parent, os.W_OK):
            folder = tempfile.mkdtemp(prefix="calltrace-", dir=Path(parent).absolute())
            if len(os.fsencode(folder)) + len("/collector.sock") <= SOCKET_LIMIT_BYTES:
                return Path(folder)
            Path(folder).rmdir()
    raise UnreachableError("no folder for a collector's socket: set TMPDIR to one that may be written to")


def _is_used(socket_path: Path) -> bool:
    """Whether a living process was told to send its calls to a socket."""
    setting = b"CALLTRACE_SOCKET=" + os.fsencode(socket_path)
    for environment in Path("/proc").glob("[0-9]*/environ"):
        # Processes come and go, and those of others are none of our business.
        with suppress(OSError):
            if setting in environment.read_bytes().split(b"\0"):
                return True
    return False
