"""Why a program was not traced."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from calltrace_collector.errors import CalltraceError, SymbolError

_ELF = b"\x7fELF"
_CLASS_64 = 2
_LOOK_AT = 100


def why_untraced(program: str, others: int) -> str:
    """Says, as the rest of a sentence, why a program that ran made no call that was recorded.

    Args:
        program: as it was run: a path, or a name in PATH.
        others: how many other processes were traced meanwhile.
    """
    question = "was it compiled with -finstrument-functions?"
    path = shutil.which(program)
    if path is None:
        return question
    if others:
        many = f"{others} processes that it started were" if others > 1 else "a process that it started was"
        return f"{question} ({program} was not, it seems, but {many} traced: see calltrace ps)"
    return f"{question} ({reason})" if (reason := _reason(path)) else question


def _reason(path: str) -> str | None:
    """What can be told from the program's file; None: nothing."""
    from calltrace_collector.symbols.probe import is_instrumented  # noqa: PLC0415 needed for bad news only

    try:
        mode = Path(path).stat().st_mode
        with Path(path).open("rb") as file:
            start = file.read(5)
    except OSError:
        return None
    if not start.startswith(_ELF):
        return f"{path} is a script: what counts is the programs that it runs"
    if start[4] != _CLASS_64:
        return f"{path} is a 32-bit program, and the agent is a 64-bit library"
    try:
        if not is_instrumented(path):
            return f"{path} calls no hooks, or is linked statically"
    except SymbolError:
        return None
    if mode & (stat.S_ISUID | stat.S_ISGID) and os.geteuid() != 0:
        return f"{path} runs with the rights of another user or group, and so loads no agent"
    return f"{path} was; did it call any function, or say why it is not traced?"


def count_since(database: str | None, began_at_ns: int) -> int:
    """Returns how many processes of this machine have begun to be traced since a time.

    Args:
        database: as in Reader.
        began_at_ns: nanoseconds since the epoch.
    """
    from calltrace_collector.store.reader import Reader  # noqa: PLC0415 needed for bad news only

    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    try:
        with Reader(database) as reader:
            newest = reader.processes(limit=_LOOK_AT)
    except CalltraceError:  # there is another message to show
        return 0
    return sum(process.started_at_ns >= began_at_ns and process.boot_id == boot for process in newest)
