"""The session directory that a process left behind: access to it, its lock, its session file, its removal.

The layout is agent/record/layout.h's. The process that wrote it may have been killed between any two
instructions, and its own bugs may have scribbled over it: nothing is believed before it is checked. Files are
read, never mapped: another program of the user may cut one off meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from calltrace_collector.errors import OtherLayoutError, ProtocolError
from calltrace_collector.ingest.outbox_file import OUTBOX_LIMIT_BYTES, read_messages
from calltrace_collector.ingest.ring_file import RING_LIMIT_BYTES, RingTail, read_ring, read_ring_thread

__all__ = [
    "SessionDirectory",
    "SessionHeader",
    "check_session_path",
    "session_directories",
]

_PAGE_BYTES = 4096
_VERSION = 1

_SESSION = struct.Struct("<QII16sQQIIQQQ112s")
_SESSION_MAGIC = 0x3153534543415254
_NAME_ID_BYTES = 8
_NAME = re.compile(r"[0-9]+-[0-9a-f]{16}")
_SESSION_FILE_LIMIT = 1 << 20
_EXITED = 1

_NO_LINKS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class SessionHeader:
    """The session file's header. exit_code is None unless the process has called exit()."""

    session_id: bytes
    pid: int
    start_time_jiffies: int
    socket_path: str
    exit_code: int | None
    ended_ticks: int
    ended_monotonic_ns: int
    ended_realtime_ns: int
    process: bytes


def check_session_path(path: str, session_id: bytes, pid: int) -> None:
    """Refuses what no agent calls the directory of such a session, wherever its folder for them may be.

    Raises:
        ProtocolError: it is not an absolute path that ends in calltrace-UID/PID-ID.
    """
    parts = PurePosixPath(path).parts
    if (
        len(parts) < 3
        or str(PurePosixPath(*parts)) != path
        or parts[0] != "/"
        or ".." in parts
        or "\0" in path
        or not re.fullmatch(r"calltrace-\d+", parts[-2])
        or parts[-1] != f"{pid}-{session_id[:_NAME_ID_BYTES].hex()}"
    ):
        raise ProtocolError(f"the agent of process {pid} names a session directory that is not its own")


def session_directories(shm_directory: Path) -> list[Path]:
    """Lists this user's session directories: those with names that agents give them, so none that is kept."""
    parent = shm_directory / f"calltrace-{os.geteuid()}"
    try:
        return sorted(
            entry
            for entry in parent.iterdir()
            if _NAME.fullmatch(entry.name) and entry.is_dir() and not entry.is_symlink()
        )
    except OSError:
        return []


class SessionDirectory:
    """One session directory, open.

    Its methods raise ProtocolError for what should not be there, and OSError for what is not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._check_private(path.parent.lstat())
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _NO_LINKS)
        try:
            self._check_private(os.fstat(self._fd))
            with self._saying_where():
                self._session_fd = self._open("session", os.O_RDWR)
        except BaseException:
            os.close(self._fd)
            raise

    def _refuse(self, what: str) -> ProtocolError:
        return ProtocolError(f"{self.path}: {what}; look at it, and remove it if nobody needs it")

    @contextmanager
    def _saying_where(self) -> Iterator[None]:
        try:
            yield
        except ProtocolError as error:
            raise self._refuse(error.message) from None

    def _check_private(self, status: os.stat_result) -> None:
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise self._refuse("the session directory, or the one it is in, belongs to another user")
        if status.st_mode & 0o077:
            raise self._refuse("others may look into the session directory, or the one it is in")

    def _check_file(self, name: str, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
            raise ProtocolError(f"{name} is not a file of this user's, or not only there")

    def _open(self, name: str, flags: int = os.O_RDONLY) -> int:
        # Before it is opened, for that alone may do something where it is no file.
        self._check_file(name, os.stat(name, dir_fd=self._fd, follow_symlinks=False))
        fd = os.open(name, flags | _NO_LINKS, dir_fd=self._fd)
        try:
            self._check_file(name, os.fstat(fd))
        except BaseException:
            os.close(fd)
            raise
        return fd

    @contextmanager
    def _reading(self, name: str, limit_bytes: int) -> Iterator[tuple[int, int]]:
        """Opens a file: its descriptor and its size, which is 0 when there is none."""
        try:
            fd = self._open(name)
        except FileNotFoundError:
            yield -1, 0
            return
        try:
            size = os.fstat(fd).st_size
            if size > limit_bytes:
                raise ProtocolError(f"{name} is larger than any agent makes it")
            yield fd, size
        finally:
            os.close(fd)

    def _names(self) -> list[str]:
        return os.listdir(self._fd)  # noqa: PTH208 -- pathlib does not list descriptors

    def file_bytes(self, name: str, limit_bytes: int) -> bytes | None:
        """Reads a file; None when there is none or it is empty."""
        with self._reading(name, limit_bytes) as (fd, size):
            return os.pread(fd, size, 0) if size else None

    # --- the session file ---

    def session_bytes(self, offset: int, size: int) -> bytes:
        """Reads a part of the session file; what is returned is shorter where the file is."""
        return os.pread(self._session_fd, size, offset)

    def is_held(self) -> bool:
        """Whether the image of the process that made the directory is there: it holds the file's lock."""
        query = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answer = fcntl.fcntl(self._session_fd, fcntl.F_OFD_GETLK, query)
        return bool(struct.unpack("hhqqi4x", answer)[0] != fcntl.F_UNLCK)

    def claim(self) -> bool:
        """Takes the lock that the process has let go; False when it, or another collector, has or had it."""
        request = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        try:
            fcntl.fcntl(self._session_fd, fcntl.F_OFD_SETLK, request)
        except (BlockingIOError, PermissionError):
            return False
        return self._is_in_place()

    def _is_in_place(self) -> bool:
        """Whether no other collector has removed or renamed it since it was opened."""
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return False
        return os.path.samestat(status, os.fstat(self._fd))

    def header(self) -> SessionHeader:
        """Reads the session file."""
        data = os.pread(self._session_fd, _SESSION_FILE_LIMIT, 0)
        if len(data) < _PAGE_BYTES:
            raise self._refuse("the session file was not written to its end")
        (magic, version, pid, session_id, start_time, process_bytes, state, exit_code, *ended, socket) = (
            _SESSION.unpack_from(data)
        )
        if magic != _SESSION_MAGIC:
            raise self._refuse("the session file was not written to its end")
        if version != _VERSION:
            what = f"written by an agent of layout {version}, this collector reads {_VERSION}"
            raise OtherLayoutError(self._refuse(what).message)
        if process_bytes > len(data) - _PAGE_BYTES:
            raise self._refuse("the session file is cut off")
        return SessionHeader(
            session_id=session_id,
            pid=pid,
            start_time_jiffies=start_time,
            socket_path=os.fsdecode(socket.split(b"\0")[0]),
            exit_code=exit_code if state == _EXITED else None,
            ended_ticks=ended[0],
            ended_monotonic_ns=ended[1],
            ended_realtime_ns=ended[2],
            process=data[_PAGE_BYTES : _PAGE_BYTES + process_bytes],
        )

    # --- the outbox and the rings ---

    def messages(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Yields (sequence number, AgentMessage) of all whole messages after a sequence number."""
        with self._reading("outbox", OUTBOX_LIMIT_BYTES) as (fd, size):
            yield from read_messages(fd, size, after)

    def rings(self) -> list[tuple[int, str]]:
        """Lists the rings in use, in the order in which their threads began: (thread number, file name).

        What is no ring, or cannot be opened, is left out.
        """
        found = []
        for name in self._names():
            if not name.startswith("ring."):
                continue
            with suppress(OSError, ProtocolError), self._reading(name, RING_LIMIT_BYTES) as (fd, size):
                thread = read_ring_thread(fd, size)
                if thread is not None:
                    found.append((thread, name))
        return sorted(found)

    def ring(self, name: str) -> RingTail:
        """Reads a ring that rings() has listed."""
        with self._reading(name, RING_LIMIT_BYTES) as (fd, size):
            return read_ring(fd, size, name)

    # --- the end ---

    def remove(self) -> None:
        """Removes the files that agents make, and the directory unless there is something else in it."""
        for name in self._names():
            if name in ("outbox", "session", "crash") or name.startswith("ring."):
                os.unlink(name, dir_fd=self._fd)
        with suppress(OSError):
            self.path.rmdir()

    def keep(self) -> Path:
        """Renames the directory so that nobody adopts it, and returns its new path."""
        return self.path.rename(self.path.with_name(f"{self.path.name}.damaged"))

    def close(self) -> None:
        """Lets go of the directory, and of the lock."""
        os.close(self._session_fd)
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
