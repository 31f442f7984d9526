"""A regular file that is read piece by piece and is never trusted.

Nothing is mapped into memory: a file that shrinks while it is being read gives a SymbolError and not a
SIGBUS. Only the parts asked for are read.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calltrace_collector.errors import SymbolError

MAX_READ_BYTES = 256 << 20
"""The most that is read in one piece; more is taken for damage."""


@contextmanager
def damage_of(what: str) -> Iterator[None]:
    """Turns what parsing damaged bytes raises (out of bounds, bad numbers) into a SymbolError.

    Args:
        what: what is being parsed, for the message.
    """
    try:
        yield
    except (IndexError, KeyError, ValueError, OverflowError, struct.error, zlib.error) as error:
        reason = f"it has no number {error}" if isinstance(error, KeyError) else error
        raise SymbolError(f"{what} is damaged ({reason}); rebuild or reinstall it") from error


class RegularFile:
    """A regular file, open for reading.

    Args:
        path: its name.

    Raises:
        SymbolError: there is no such file, it cannot be opened, or it is a folder, a FIFO or a device.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._descriptor = -1
        try:
            # Looking first, because opening some devices does something.
            if not stat.S_ISREG(Path(path).stat().st_mode):
                raise SymbolError(f"{self.path}: is not a regular file; name a program or a shared library")
            # O_NONBLOCK, because it may have become a FIFO since.
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            self._descriptor = os.open(path, flags)
            status = os.fstat(self._descriptor)
        except OSError as error:
            raise SymbolError(f"{self.path}: cannot be opened: {error.strerror}") from error
        except ValueError as error:  # a NUL byte
            raise SymbolError(f"{self.path!r}: is not a file name: {error}") from error
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise SymbolError(f"{self.path}: is not a regular file; name a program or a shared library")
        self.size = status.st_size

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; may be called again."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def read(self, offset: int, size: int) -> bytes:
        """Returns `size` bytes at `offset`; raises SymbolError when they are not all there."""
        if size > MAX_READ_BYTES:
            raise SymbolError(
                f"{self.path}: {size} bytes in one piece are more than the limit of {MAX_READ_BYTES}"
            )
        content = b""
        if offset >= 0 and size >= 0 and offset + size <= self.size:
            try:
                content = os.pread(self._descriptor, size, offset)
            except OSError as error:
                raise SymbolError(f"{self.path}: cannot be read: {error.strerror}") from error
        if len(content) != size:
            raise SymbolError(
                f"{self.path}: is truncated: {size} bytes at {offset:#x} are missing; rebuild or reinstall it"
            )
        return content
