"""Session directories that nobody serves: finding and adopting them.

A process that was killed, or gone while no collector ran, leaves its session directory. The collector that it
belonged to takes it; so does any other, if nobody answers at that one's socket any more.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from calltrace_collector.errors import CalltraceError, OtherLayoutError, ProtocolError, StoreError
from calltrace_collector.ingest.directory import (
    SessionDirectory,
    session_directories,
)
from calltrace_collector.ingest.messages import read_message, read_process
from calltrace_collector.ingest.registry import OpenSession, Registry

__all__ = ["LeftBehind"]

LOOKS_BEFORE_COMPLAINT = 4
"""An agent that is starting makes its session directory between two looks."""
EMPTY_FOR_S = 60
"""How old a directory is whose agent will not come to put anything into it any more."""
REMEMBERED_DIRECTORIES = 4096
"""Directories that cannot be read of which that is remembered."""


class LeftBehind:
    """Opens and ends the sessions whose directories were left behind and belong to this collector.

    Args:
        registry: where they are opened.
        socket_path: of this collector; session directories that name it are its own.
        shm_directories: where session directories are looked for.
        on_message: called with one line for the user.
    """

    def __init__(
        self,
        registry: Registry,
        socket_path: Path,
        shm_directories: tuple[Path, ...],
        on_message: Callable[[str], None],
    ) -> None:
        self._registry = registry
        self._socket_path = str(socket_path)
        self._shm_directories = shm_directories
        self._on_message = on_message
        self._unreadable: dict[str, int] = {}
        self._ending: set[OpenSession] = set()

    def adopt(self) -> None:
        """Looks for session directories once, and takes those that are this collector's.

        Raises:
            StoreError: the store does not answer.
        """
        for opened in self._ending.copy():
            self._end_again(opened)
        known = {str(opened.directory) for opened in self._registry.open_sessions()}
        for shm_directory in self._shm_directories:
            for path in session_directories(shm_directory):
                if str(path) not in known:
                    self._adopt(path)

    def _adopt(self, path: Path) -> None:
        try:
            with SessionDirectory(path) as directory:
                if directory.is_held():
                    return
                header = directory.header()
                if not self._is_mine(header.socket_path):
                    return
                process = read_process(read_message(header.process).process)
            if process.session_directory != str(path) or process.session_id != header.session_id:
                raise ProtocolError(f"{path} does not say of itself what it is")
            opened = self._registry.find(process)
            if opened is None:
                _remove(path)
            else:
                self._ending.add(opened)
                self._end(opened)
        except FileNotFoundError:
            _remove_if_empty(path)
        except StoreError:
            raise
        except (OSError, CalltraceError) as error:
            self._say_unreadable(path, error)

    def _end(self, opened: OpenSession) -> None:
        """Ends a session, or leaves it for the next look: its process may take a while to die."""
        if opened.streams or self._registry.end_if_over(opened):
            self._ending.discard(opened)

    def _end_again(self, opened: OpenSession) -> None:
        try:
            self._end(opened)
        except StoreError:
            raise
        except (OSError, CalltraceError) as error:
            self._say_unreadable(Path(opened.session.info.session_directory), error)

    def _is_mine(self, socket_path: str) -> bool:
        return socket_path == self._socket_path or not _answers(socket_path)

    def _say_unreadable(self, path: Path, error: Exception) -> None:
        """Says once that a directory cannot be read, unless it is only just being made.

        It is set aside then, if it is of no use to anybody.
        """
        looks = self._unreadable.get(str(path), 0) + 1
        self._unreadable[str(path)] = looks
        while len(self._unreadable) > REMEMBERED_DIRECTORIES:
            del self._unreadable[next(iter(self._unreadable))]
        if looks == LOOKS_BEFORE_COMPLAINT:
            kept = _set_aside(path) if _is_nobodys(error) else ""
            self._on_message(f"a session directory is not read: {error}{kept}")


def _remove(path: Path) -> None:
    """Removes the directory of a session whose end is stored: its collector died before it came to that."""
    with suppress(OSError, ProtocolError), SessionDirectory(path) as directory:
        if directory.claim():
            directory.remove()


def _is_nobodys(error: Exception) -> bool:
    """Whether what is wrong with a directory is so for every collector, and will be tomorrow."""
    return isinstance(error, ProtocolError) and not isinstance(error, OtherLayoutError)


def _set_aside(path: Path) -> str:
    """Renames a directory that nobody holds, so that no collector looks at it again; returns where it is.

    What belongs to another user, or others may change, is not touched, nor is what has no session file.
    """
    try:
        with SessionDirectory(path) as directory:
            if not directory.claim():
                return ""
            return f"; it is kept in {directory.keep()}: remove it if nobody needs it"
    except (OSError, ProtocolError):
        return ""


def _remove_if_empty(path: Path) -> None:
    """Removes a directory whose program was killed while making it; one with anything in it stays."""
    with suppress(OSError):
        if time.time() - path.lstat().st_mtime > EMPTY_FOR_S:
            path.rmdir()


def _answers(socket_path: str) -> bool:
    """Whether a collector listens on a socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(socket_path)
    except OSError:
        return False
    return True
