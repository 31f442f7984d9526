"""The folder of kept plans: one file each, checked when it is read.

A file is a mark, the digest of what follows, and zstd-compressed JSON: who made it, of what, and the plan. A
file that is damaged, or made by another version of this package, counts as not there.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path

import zstandard

from calltrace_collector import __version__
from calltrace_collector.capture.plan.plan_json import plan_from_json, plan_to_json
from calltrace_collector.errors import ProtocolError
from calltrace_collector.model.capture import Plan

__all__ = ["KeptPlans"]

_MARK = b"calltrace plan\n"
_DIGEST_BYTES = 32
_MAX_FILE_BYTES = 256 << 20
_MAX_PLAN_BYTES = 512 << 20
_MAX_FILES = 300
_SUFFIX = ".plan"


class KeptPlans:
    """The plans that are kept for a user.

    Args:
        environment: os.environ unless a test brings its own.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        chosen = environment.get("XDG_CACHE_HOME", "")
        home = environment.get("HOME", "")
        base = Path(chosen) if chosen.startswith("/") else Path(home, ".cache") if home else None
        self._folder = base / "calltrace" / "plans" if base is not None else None

    def read(self, name: str, identity: str) -> Plan | None:
        """Returns the plan that is kept under a name; None if there is none, or it is of something else."""
        if self._folder is None:
            return None
        try:
            content = _read_own(self._folder / (name + _SUFFIX))
            head, _, text = content.partition(b"\n")
            if json.loads(head) != [_made_by(), identity]:
                return None
            return plan_from_json(text)
        except (OSError, ValueError, RecursionError, ProtocolError, zstandard.ZstdError):
            return None

    def write(self, name: str, identity: str, plan: Plan) -> None:
        """Keeps a plan, if that is possible. Readers see the old one or the new one, and never a part."""
        if self._folder is None:
            return
        head = json.dumps([_made_by(), identity]).encode()
        content = zstandard.ZstdCompressor(level=3).compress(head + b"\n" + plan_to_json(plan))
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(self._folder, name + _SUFFIX, _MARK + _digest(content) + content)
            _forget_oldest(self._folder)
        except OSError:
            return  # a full disk, say: the plan is made again the next time


def _read_own(path: Path) -> bytes:
    """Returns what a file of this user holds; raises OSError or ValueError if it is not fit for use."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor has no path
        status = os.fstat(descriptor)
        is_own = status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if not stat.S_ISREG(status.st_mode) or not is_own or status.st_size > _MAX_FILE_BYTES:
            raise ValueError("not a file of this user")
        stored = file.read(_MAX_FILE_BYTES)
    content = stored[len(_MARK) + _DIGEST_BYTES :]
    if stored[: len(_MARK)] != _MARK or stored[len(_MARK) : len(_MARK) + _DIGEST_BYTES] != _digest(content):
        raise ValueError("damaged")
    size = zstandard.frame_content_size(content)
    if not 0 <= size <= _MAX_PLAN_BYTES:
        raise ValueError(f"{size} bytes")
    return zstandard.ZstdDecompressor().decompress(content)


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=_DIGEST_BYTES).digest()


def _replace(folder: Path, name: str, content: bytes) -> None:
    """Writes a file beside the one that it then takes the place of."""
    descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=folder)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
            file.write(content)
        Path(temporary).replace(folder / name)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _forget_oldest(folder: Path) -> None:
    """Removes what was written first, if there are many: each build of a program has a plan of its own."""
    with os.scandir(folder) as entries:
        files = [(entry.stat(follow_symlinks=False).st_mtime_ns, entry.path) for entry in entries]
    for _, path in sorted(files)[:-_MAX_FILES]:
        Path(path).unlink(missing_ok=True)


@cache
def _made_by() -> str:
    """Returns what changes when plans might: the version, and the code that makes them."""
    package = Path(__file__).parents[2]
    digest = blake2b(__version__.encode(), digest_size=16)
    for room in ("capture", "symbols", "model"):
        for path in sorted((package / room).rglob("*.py")):
            status = path.stat()
            digest.update(f"{room}/{path.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
