"""The unix socket that a collector listens on: one collector a socket, for its owner only."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calltrace_collector.errors import UsageError

__all__ = ["private_socket", "restricted_umask"]

MAX_SOCKET_PATH_BYTES = 107
"""sizeof sun_path less the terminating zero."""


@contextmanager
def private_socket(path: Path) -> Iterator[None]:
    """Keeps a socket's path for this collector alone, from before it is bound until after it is closed.

    Makes the directory, with mode 0700, when there is none.

    Raises:
        UsageError: the path is too long, not this user's, or another collector serves there.
    """
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise UsageError(
            f"the socket's path {path} is longer than {MAX_SOCKET_PATH_BYTES} bytes: choose a shorter one"
        )
    _make_directory(path.parent)
    lock = _lock(path)
    try:
        _remove_stale(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(lock)


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
    except OSError as error:
        raise UsageError(f"cannot make the directory {directory}: {error.strerror}") from None
    if status.st_uid not in (os.geteuid(), 0):
        raise UsageError(f"{directory} belongs to another user: choose another socket with --socket")


def _lock(path: Path) -> int:
    name = path.with_name(path.name + ".lock")
    try:
        lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise UsageError(f"cannot lock {name}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise UsageError(
            f"another collector serves at {path}: use it, or choose another socket with --socket"
        ) from None
    return lock


def _remove_stale(path: Path) -> None:
    """Removes a socket that its collector left behind; nothing else."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise UsageError(f"{path} is there and no socket: choose another with --socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise UsageError(f"another program serves at {path}: choose another socket with --socket")


@contextmanager
def restricted_umask() -> Iterator[None]:
    """What is made meanwhile, the socket above all, is its owner's only."""
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)
