"""The symbolizer: one thread that names functions and call sites after they are stored.

Names belong to files, not to processes: a file that was named once is named for every later process.
"""

from __future__ import annotations

from calltrace_collector.errors import StoreError, SymbolError
from calltrace_collector.ingest.worker import Worker
from calltrace_collector.model.commit import CallSiteName, FunctionName, Sink, UnnamedFile
from calltrace_collector.symbols.resolver import ModuleSymbols, Resolver

__all__ = ["Symbolizer"]

PORTION = 2000
"""Places named in one transaction, so that the first names show early."""

RETRY_INTERVAL_S = 1.0


class Symbolizer(Worker):
    """Names what has no name yet, whenever it is told that there may be something.

    Args:
        sink: where the unnamed come from and the names go.
        resolver: knows the symbols of files.
        retry_interval_s: after which it tries again when the sink has refused names. Whoever commits says so:
            there it is the same trouble, and a line about it is enough.
    """

    def __init__(self, sink: Sink, resolver: Resolver, *, retry_interval_s: float = RETRY_INTERVAL_S) -> None:
        super().__init__("symbolizer")
        self._sink = sink
        self._resolver = resolver
        self._retry_interval_s = retry_interval_s
        self._wanted = 0
        self._done = 0
        self._refused = False

    def ask(self) -> None:
        """Says that unnamed functions or call sites may have been stored."""
        with self._wake:
            self._wanted += 1
            self._wake.notify_all()

    def wait(self) -> None:
        """Returns when everything stored before the call has been looked for."""
        with self._wake:
            self._wanted += 1
            target = self._wanted
            self._wake.notify_all()
            self._wake.wait_for(lambda: self._done >= target or self._has_ended)

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(
                    lambda: self._wanted > self._done or self._stopping,
                    timeout=self._retry_interval_s if self._refused else None,
                )
                if self._stopping and self._wanted == self._done:
                    return
                target = self._wanted
            self._refused = not self._name_all()
            with self._wake:
                self._done = target
                self._wake.notify_all()

    def _name_all(self) -> bool:
        """Returns False when the sink refused: what is unnamed stays so, and is found again the next time."""
        try:
            for file in self._sink.unnamed():
                self._name_file(file)
        except StoreError:
            return False
        return True

    def _name_file(self, file: UnnamedFile) -> None:
        try:
            symbols = self._resolver.module(file.path, file.build_id)
        except SymbolError:
            # A file that is gone or has no symbols: looked for and not found, which is what is stored.
            symbols = None
        for begin in range(0, len(file.functions), PORTION):
            offsets = file.functions[begin : begin + PORTION]
            self._sink.name(file.file, _function_names(symbols, offsets), [])
        for begin in range(0, len(file.call_sites), PORTION):
            offsets = file.call_sites[begin : begin + PORTION]
            self._sink.name(file.file, [], _call_site_names(symbols, offsets))


def _function_names(symbols: ModuleSymbols | None, offsets: tuple[int, ...]) -> list[FunctionName]:
    found = symbols.functions(offsets) if symbols else [None] * len(offsets)
    return [
        FunctionName(offset, 0, None, None, None, None)
        if function is None
        else FunctionName(
            offset, function.size, function.linkage_name, function.name, function.file, function.line
        )
        for offset, function in zip(offsets, found, strict=True)
    ]


def _call_site_names(symbols: ModuleSymbols | None, offsets: tuple[int, ...]) -> list[CallSiteName]:
    if symbols is None:
        return [CallSiteName(offset, None, None, None) for offset in offsets]
    callers = symbols.functions([offset - 1 for offset in offsets])
    lines = symbols.call_sites(offsets)
    return [
        CallSiteName(
            offset, caller.name if caller else None, line.file if line else None, line.line if line else None
        )
        for offset, caller, line in zip(offsets, callers, lines, strict=True)
    ]
