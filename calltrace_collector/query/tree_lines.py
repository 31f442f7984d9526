"""The lines of call trees: what there is to show, in order of entry."""

from __future__ import annotations

from dataclasses import dataclass

from calltrace_collector.query.captured import Value
from calltrace_collector.query.inherited import InheritedCall
from calltrace_collector.store.records import ThreadRecord

__all__ = [
    "Ancestor",
    "AncestorsLeftOut",
    "Call",
    "Deeper",
    "Gap",
    "Inherited",
    "Rest",
    "ThreadStart",
    "TreeLine",
]


@dataclass(frozen=True, slots=True)
class ThreadStart:
    """Here begins a thread's tree."""

    thread: ThreadRecord


@dataclass(frozen=True, slots=True)
class Call:
    """A call.

    Attributes:
        site: what it entered, and from where.
        depth: how many calls are around it.
        status: the number in the column of that name.
        duration_ns: how long it took or, if it has not ended, has been open as far as is known.
        arguments: what was captured of them; (): nothing.
        returned: what it returned; None: nothing, or nothing is known of it.
    """

    site: int
    depth: int
    status: int
    duration_ns: int
    arguments: tuple[Value, ...] = ()
    returned: Value | None = None


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A call that is no hit itself, but leads to those that follow; the attributes are those of Call."""

    site: int
    depth: int
    arguments: tuple[Value, ...] = ()
    returned: Value | None = None


@dataclass(frozen=True, slots=True)
class AncestorsLeftOut:
    """Callers between the ancestor before and the one that follows."""

    depth: int
    calls: int


@dataclass(frozen=True, slots=True)
class Deeper:
    """Calls left out because they are too deep, beneath the call before."""

    depth: int
    calls: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Here the trace has a gap, or several.

    Attributes:
        depth: of what is missing, as far as is known.
        dropped_events: entries and exits that were not recorded.
        orphan_exits: exits that were recorded, but whose entries were not.
    """

    depth: int
    dropped_events: int
    orphan_exits: int


@dataclass(frozen=True, slots=True)
class Rest:
    """Calls left out at a thread's end, for enough are shown."""

    calls: int


@dataclass(frozen=True, slots=True)
class Inherited:
    """A call that was open when the process was forked: it began in another process's trace."""

    call: InheritedCall
    depth: int


TreeLine = ThreadStart | Inherited | Call | Ancestor | AncestorsLeftOut | Deeper | Gap | Rest
