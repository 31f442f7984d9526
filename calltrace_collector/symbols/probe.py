"""What can be told of a program before it runs."""

from __future__ import annotations

from pathlib import Path

from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.file import damage_of
from calltrace_collector.symbols.symtab import refers_to

ENTRY_HOOK = "__cyg_profile_func_enter"
"""What -finstrument-functions makes every function call first."""
EXIT_HOOK = "__cyg_profile_func_exit"
"""What it makes every function call last."""
HOOKS = frozenset((ENTRY_HOOK, EXIT_HOOK))


def build_id(path: str | Path) -> bytes | None:
    """Returns a file's build-id, None if it has none.

    Raises:
        SymbolError: it is not a readable program or shared library.
    """
    with ElfFile(path) as elf:
        return elf.build_id


def is_instrumented(path: str | Path) -> bool:
    """Tells whether a program or library was compiled with -finstrument-functions.

    That is, whether it has the dynamic linker find the entry hook. A program that is linked statically, or
    brings hooks of its own, is not traced, and the answer is no.

    Raises:
        SymbolError: it is not a readable program or shared library.
    """
    with ElfFile(path) as elf, damage_of(f"{path}: dynamic symbols"):
        return refers_to(elf, ENTRY_HOOK)
