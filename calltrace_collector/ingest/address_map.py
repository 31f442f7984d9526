"""Which module an address of a traced process belongs to, as of now in its stream."""

from __future__ import annotations

from bisect import bisect_right

from calltrace_collector.model.commit import Place
from calltrace_collector.model.process import ModuleInfo

__all__ = ["AddressMap"]

_ADDRESS_SPACE = 1 << 64


class AddressMap:
    """The modules mapped into a process, by address.

    Modules come and go while the process runs; since the stream tells of them in order with the sites,
    looking an address up when its site is new finds the module that was there then.
    """

    def __init__(self) -> None:
        self._modules: dict[int, ModuleInfo] = {}
        self._starts: list[int] = []
        self._spans: list[tuple[int, ModuleInfo]] = []

    def put(self, module: ModuleInfo) -> bool:
        """Takes what a Module message says. Returns whether a module has gone."""
        gone = module.unloaded_ticks != 0
        if gone:
            self._modules.pop(module.number, None)
        else:
            self._modules[module.number] = module
        self._rebuild()
        return gone

    def modules(self) -> tuple[ModuleInfo, ...]:
        """Returns the modules that are mapped now."""
        return tuple(self._modules.values())

    def _rebuild(self) -> None:
        spans = sorted(
            ((m.load_bias + s.address) % _ADDRESS_SPACE, s.size_bytes, m.number, m)
            for m in self._modules.values()
            for s in m.segments
        )
        self._starts = [start for start, _, _, _ in spans]
        self._spans = [(start + size, module) for start, size, _, module in spans]

    def place(self, address: int) -> Place | None:
        """Returns the module that covers the address, and the address in the file's own numbering."""
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        end, module = self._spans[index]
        if address >= end:
            return None
        return Place(module.number, (address - module.load_bias) % _ADDRESS_SPACE)
