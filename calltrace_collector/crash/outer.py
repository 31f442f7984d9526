"""Frames beyond the end of a stack trace that the traced calls tell of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from calltrace_collector.crash.join import Joined, find_function, with_call
from calltrace_collector.crash.names import FrameNames, Group
from calltrace_collector.model.crash import OpenCall


def outer_groups(joined: Joined, calls: Sequence[OpenCall], names: FrameNames) -> list[Group]:
    """Returns the frames further out than those that could be unwound, innermost first.

    Of a traced call it is known where it was called. If that is in the function of the next traced call
    further out, that is where this one was; otherwise there is a function between that is not traced, and
    where the traced one was is not known: its frame has the function's first address then.

    Args:
        joined: the frames that could be unwound.
        calls: all that are open, outermost first.
        names: of functions.
    """
    outer = list(reversed(joined.outer_calls))
    if not outer:
        return []
    site = 0
    inner = len(joined.outer_calls)
    if inner < len(calls) and joined.last_frame == len(joined.groups) - 1:
        site = calls[inner].call_site_address
    walk = _Walk(names, site)
    for call in outer:
        walk.add(call)
    return walk.finish()


class _Walk:
    """Goes from call to call, outwards."""

    def __init__(self, names: FrameNames, site: int) -> None:
        self._names = names
        self._groups: list[Group] = []
        self._site = site  # where the last call was called, which is not yet shown
        self._previous: OpenCall | None = None
        self._position = 0  # of the next function of the last frame that a call may be of

    def add(self, call: OpenCall) -> None:
        """Adds the frame of a call, and the frame of its callee's call site if that is another."""
        previous = self._previous
        self._previous = call
        if previous is not None and previous.call_site_address == call.call_site_address and self._groups:
            # One that was inlined says that it was called where the function was that it is part of.
            found = find_function(self._groups[-1], call, self._names, self._position)
            if found is not None:
                self._groups[-1] = with_call(self._groups[-1], found, call.call)
                self._position = found + 1
                return
        group = self._names.of_call_site(self._site) if self._site else ()
        found = find_function(group, call, self._names, 0)
        if found is None:
            if group:
                self._groups.append(group)
            group, found = (replace(self._names.of_function(call.function_address), call=None),), 0
        self._groups.append(with_call(group, found, call.call))
        self._position = found + 1
        self._site = call.call_site_address

    def finish(self) -> list[Group]:
        """Returns the frames, with the one that called the outermost traced call."""
        if self._site:
            self._groups.append(self._names.of_call_site(self._site))
        return self._groups
