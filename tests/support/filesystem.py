"""File systems that are full, or may not be written to."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def may_mount() -> bool:
    """Whether this user may mount a file system here."""
    return os.geteuid() == 0 and subprocess.run(["mountpoint", "-q", "/"], check=False).returncode == 0


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[None]:
    """A file system in memory of a size, such as "4m"; needs root."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", str(folder)], check=True)
    try:
        yield
    finally:
        # What still has a file open there keeps it until it ends.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    """Gives what is mounted there other options: "size=64m", "ro"."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def limit_files(pid: int, size_bytes: int) -> None:
    """Lets a process write no file beyond a size, from now on; -1: any. Without root, that is a full disk."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes, -1))
