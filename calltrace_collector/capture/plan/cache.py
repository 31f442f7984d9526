"""Capture plans of files, kept on disk by build-id: in calltrace/plans of $XDG_CACHE_HOME."""

from __future__ import annotations

import os
from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from calltrace_collector.capture.plan.kept_plan import KeptPlans
from calltrace_collector.errors import SymbolError
from calltrace_collector.model.capture import Plan
from calltrace_collector.symbols import debugfile
from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.file import damage_of
from calltrace_collector.symbols.probe import ENTRY_HOOK
from calltrace_collector.symbols.symtab import refers_to

if TYPE_CHECKING:
    from calltrace_collector.capture.plan.make import Progress

__all__ = ["plan_for"]


def plan_for(path: str | Path, build_id: bytes = b"", progress: Progress | None = None) -> Plan:
    """Returns the capture plan of a program or shared library; from the cache, if it is there.

    May be called from any thread, and by any number of processes at once.

    Args:
        path: the file.
        build_id: that it must have; b"": any.
        progress: is told how many calls of hooks are done, and how many there are; not if the plan is in the
            cache. What it raises ends the work.

    Raises:
        SymbolError: the file is missing, unreadable, damaged, or of another build.
    """
    with ExitStack() as opened:
        elf = opened.enter_context(ElfFile(path))
        found = elf.build_id or b""
        if build_id and found != build_id:
            raise SymbolError(
                f"{path}: the file on disk is another build ({found.hex() or 'no build-id'}) than asked for"
                f" ({build_id.hex()}); restart the program, or bring back the file"
            )
        with damage_of(f"{path}: dynamic symbols"):
            if not refers_to(elf, ENTRY_HOOK):
                return Plan()
        kept = KeptPlans()
        name, identity = _key(elf)
        plan = kept.read(name, identity)
        if plan is not None:
            return plan
        # What makes plans takes as long to import as short programs take to run.
        from calltrace_collector.capture.plan.pool import make_plan_by_all  # noqa: PLC0415

        files = [elf]
        if not elf.section(".debug_info"):
            debug = debugfile.find(elf, debugfile.DEBUG_DIRECTORIES)
            if debug is not None:
                files.append(opened.enter_context(debug))
        plan = make_plan_by_all(files, progress)
        # What could not be read today may be there tomorrow.
        if not plan.problems:
            kept.write(name, identity, plan)
        return plan


def _key(elf: ElfFile) -> tuple[str, str]:
    """Returns the name that a file's plan is kept under, and what tells the file from all others."""
    if elf.build_id:
        return elf.build_id.hex()[:64], elf.build_id.hex()
    try:
        real = os.path.realpath(elf.path)
        status = Path(real).stat()
    except OSError as error:
        raise SymbolError(f"{elf.path}: cannot be looked at: {error.strerror}") from error
    name = blake2b(os.fsencode(real), digest_size=16).hexdigest()
    identity = (real, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return f"file-{name}", repr(identity)
