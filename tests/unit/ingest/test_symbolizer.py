"""The symbolizer when the store refuses."""

from __future__ import annotations

import threading

from calltrace_collector.errors import StoreError
from calltrace_collector.ingest.symbolizer import Symbolizer
from calltrace_collector.model.commit import CallSiteName, FunctionName, UnnamedFile
from calltrace_collector.symbols.resolver import Resolver
from tests.unit.ingest.builders import MemorySink

UNNAMED = UnnamedFile(7, "/there/is/no/such/file", b"", (1, 2), ())


class RefusingSink(MemorySink):
    """A store that refuses the first names that it is given, and has a file unnamed until it takes them."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals = refusals
        self.took = threading.Event()

    def unnamed(self, limit: int = 100_000) -> list[UnnamedFile]:
        return [] if self.named else [UNNAMED][:limit]

    def name(self, file: int, functions: list[FunctionName], call_sites: list[CallSiteName]) -> None:
        if self.refusals > 0:
            self.refusals -= 1
            raise StoreError("cannot write: the disk is full")
        super().name(file, functions, call_sites)
        self.took.set()


def test_names_that_are_refused_are_stored_later_without_anyone_asking() -> None:
    sink = RefusingSink(refusals=3)
    symbolizer = Symbolizer(sink, Resolver(), retry_interval_s=0.001)
    symbolizer.start()
    symbolizer.ask()
    assert sink.took.wait(timeout=60)
    symbolizer.stop()
    ((file, functions, _),) = sink.named
    assert (sink.refusals, file, [function.offset for function in functions]) == (0, 7, [1, 2])


def test_whoever_waits_does_not_wait_for_a_store_that_refuses() -> None:
    sink = RefusingSink(refusals=1 << 30)
    symbolizer = Symbolizer(sink, Resolver(), retry_interval_s=3600)
    symbolizer.start()
    symbolizer.wait()
    symbolizer.stop()
    assert sink.named == []
