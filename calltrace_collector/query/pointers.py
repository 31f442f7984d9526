"""Names of the functions that pointers of a process lead to."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from calltrace_collector.errors import SymbolError
from calltrace_collector.model.process import ModuleInfo
from calltrace_collector.query.names import Names
from calltrace_collector.store.reader import Reader

if TYPE_CHECKING:
    from calltrace_collector.symbols.resolver import Resolver

__all__ = ["FunctionPointers"]

_ADDRESS_SPACE = 1 << 64


class FunctionPointers:
    """The functions of a process by address: those that it entered, and those of the files that are here.

    Args:
        reader: the database.
        process: the store's id of the process.
        names: the functions that it entered.
    """

    def __init__(self, reader: Reader, process: int, names: Names) -> None:
        self._reader = reader
        self._process = process
        self._names = names
        self._found: dict[int, str | None] = {}

    def name(self, address: int) -> str | None:
        """Returns the name of the function that begins at an address.

        None: none does as far as is known, or another one did at another time, for modules come and go.
        """
        if address not in self._found:
            known = self._entered.get(address, set())
            self._found[address] = self._from_file(address) if not known else _only(known)
        return self._found[address]

    @cached_property
    def _entered(self) -> dict[int, set[str]]:
        found: dict[int, set[str]] = {}
        for record in self._names.functions.values():
            if record.is_named:
                found.setdefault(record.address, set()).add(record.name)
        return found

    @cached_property
    def _modules(self) -> tuple[ModuleInfo, ...]:
        return self._reader.modules(self._process)

    @cached_property
    def _resolver(self) -> Resolver:
        from calltrace_collector.symbols.resolver import Resolver  # noqa: PLC0415 takes long, seldom needed

        return Resolver()

    def _from_file(self, address: int) -> str | None:
        covering = [module for module in self._modules if _covers(module, address)]
        # Only a build-id tells that the file is the one that the process had.
        if len(covering) != 1 or not covering[0].build_id:
            return None
        (module,) = covering
        offset = (address - module.load_bias) % _ADDRESS_SPACE
        try:
            (function,) = self._resolver.module(module.path, module.build_id).functions([offset])
        except SymbolError:
            return None
        return function.name if function is not None and function.offset == offset else None


def _only(names: set[str]) -> str | None:
    return next(iter(names)) if len(names) == 1 else None


def _covers(module: ModuleInfo, address: int) -> bool:
    offset = (address - module.load_bias) % _ADDRESS_SPACE
    return any(0 <= offset - part.address < part.size_bytes for part in module.segments)
