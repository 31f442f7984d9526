"""Tail calls: functions that jumped to another one in place of calling it, and so left no frame.

Method: gdb's. The call that a frame is in says which function it has called. If another one runs, the
functions between have jumped to each other; and if there is only one way from one to the other, that was it.
"""

from __future__ import annotations

from collections.abc import Callable

from calltrace_collector.symbols.inlines import CallSite

_MAX_FUNCTIONS = 64
_MAX_LENGTH = 16

Calls = Callable[[int], tuple[list[CallSite], bool]]
"""The calls of the function that an address is in, and whether all its tail calls are among them."""
Named = Callable[[str], set[int]]
"""First addresses of the functions of a name."""


def find_call(calls: Calls, return_address: int) -> CallSite | None:
    """Returns the call that returns to an address; None if it is not described."""
    if return_address <= 0:
        return None
    sites, _ = calls(return_address - 1)
    return next((site for site in sites if site.return_address == return_address and not site.is_tail), None)


def find_tail_calls(calls: Calls, named: Named, call: CallSite, running: int) -> list[int]:
    """Returns the tail calls between a call and a function, outermost first.

    Args:
        calls: see Calls.
        named: see Named.
        call: what called the first function of them.
        running: first address of the function.

    Returns:
        The return address of each, as if it was a call; [] if there are none, or more than one way.

    Raises:
        SymbolError: a symbol table is damaged.
    """
    first = _target(call, named)
    if first is None or first == running:
        return []
    return _Search(calls, named, running).run(first)


def _target(site: CallSite, named: Named) -> int | None:
    """Returns the first address of the function that is called; None if that cannot be told."""
    if site.target is not None:
        return site.target
    found = named(site.linkage_name) if site.linkage_name else set()
    return next(iter(found)) if len(found) == 1 else None


class _Search:
    """Looks for all ways from one function to another."""

    def __init__(self, calls: Calls, named: Named, running: int) -> None:
        self._calls = calls
        self._named = named
        self._running = running
        self._ways: list[list[int]] = []
        self._tails: dict[int, list[tuple[int, int]]] = {}

    def run(self, first: int) -> list[int]:
        """Returns the only way; [] if there is none, or another, or if there may be one not known of."""
        is_known = self._follow(first, [], {first})
        return self._ways[0] if is_known and len(self._ways) == 1 else []

    def _follow(self, function: int, way: list[int], passed: set[int]) -> bool:
        """Goes on from a function; returns whether everything that it may have done is known."""
        tails = self._tails_of(function)
        if tails is None or len(way) == _MAX_LENGTH:
            return False
        for return_address, target in tails:
            if target == self._running:
                self._ways.append([*way, return_address])
                if len(self._ways) > 1:
                    return False
            elif target in passed:
                return False  # how often it went in that circle, nobody knows
            elif not self._follow(target, [*way, return_address], passed | {target}):
                return False
        return True

    def _tails_of(self, function: int) -> list[tuple[int, int]] | None:
        """Returns the tail calls of a function, return address and target; None if not all are known."""
        if function not in self._tails:
            if len(self._tails) == _MAX_FUNCTIONS:
                return None
            sites, is_complete = self._calls(function)
            if not is_complete:
                return None
            tails = [(site.return_address, _target(site, self._named)) for site in sites if site.is_tail]
            known = [(address, target) for address, target in tails if target is not None]
            if len(known) < len(tails):
                return None
            self._tails[function] = known
        return self._tails[function]
