"""What a forked process has from its parent: the calls that were open when it was forked.

They began in the parent's trace. The child has their ends only: exits without an entry of its own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from calltrace_collector.model.commit import Loss
from calltrace_collector.query.moment import Moment
from calltrace_collector.query.recording import Recording
from calltrace_collector.store.records import FunctionRecord, ThreadRecord

__all__ = ["Inheritance", "InheritedCall", "inheritance"]

ORPHAN_EXIT = 2
"""Kind of a loss: Mark.ORPHAN_EXIT of proto/calltrace/v1/events.proto."""


@dataclass(frozen=True, slots=True)
class InheritedCall:
    """A call that was open when a process was forked.

    Attributes:
        process: the store's id of the process in whose trace it begins.
        thread, call: which it is there.
        function: what was called.
        end_ticks: when it ended in the child; None: it has not, or not by an exit.
    """

    process: int
    thread: int
    call: int
    function: FunctionRecord
    end_ticks: int | None


class Inheritance:
    """The inherited calls of a thread, outermost first."""

    def __init__(self, calls: list[InheritedCall]) -> None:
        self.calls = calls
        self._ends = {(call.end_ticks, call.function.address) for call in calls}
        self._end_ticks = sorted(call.end_ticks for call in calls if call.end_ticks is not None)

    def depth_at(self, ticks: int) -> int:
        """How many of them were open at a moment."""
        return len(self.calls) - bisect_right(self._end_ticks, ticks)

    def innermost_at(self, ticks: int) -> InheritedCall | None:
        """The innermost of them that was open at a moment."""
        depth = self.depth_at(ticks)
        return self.calls[depth - 1] if depth else None

    def has_end(self, loss: Loss) -> bool:
        """Whether an exit without an entry is the end of one of them."""
        return loss.kind == ORPHAN_EXIT and (loss.ticks, loss.count) in self._ends


def inheritance(recording: Recording, thread: ThreadRecord) -> Inheritance:
    """Returns what a thread has from the process that it was forked from; nothing where nobody knows.

    Raises:
        StoreError: the database cannot be read, or holds what it should not.
    """
    begun = list(_begun(recording, thread))
    return Inheritance(_ended(begun, recording, thread))


def _begun(recording: Recording, thread: ThreadRecord) -> Iterator[InheritedCall]:
    """The calls that were open at the fork."""
    process = recording.process
    # Of the parent's threads, the child has only the one that forked it: now its main thread.
    is_forked = process.parent is not None and process.parent_thread is not None
    if not is_forked or thread.tid != process.pid or thread.stack_of is not None:
        return
    (found,) = recording.reader.processes(process=process.parent) or (None,)
    if found is None or found.session_id != process.parent_session_id:
        return
    parent = Recording(recording.reader, found)
    forking = next((each for each in parent.threads if each.number == process.parent_thread), None)
    if forking is None:
        return
    for call in inheritance(parent, forking).calls:
        if call.end_ticks is None or call.end_ticks > process.fork_ticks:
            yield InheritedCall(call.process, call.thread, call.call, call.function, None)
    for open_call in Moment(parent, forking, process.fork_ticks).open_calls():
        function = parent.names.function(open_call.site)
        yield InheritedCall(found.id, forking.number, open_call.call, function, None)


def _ended(begun: list[InheritedCall], recording: Recording, thread: ThreadRecord) -> list[InheritedCall]:
    """The same, with their ends: the exits without an entry, as long as they are theirs."""
    if not begun:
        return begun
    open_calls: list[InheritedCall] = list(begun)
    ended: list[InheritedCall] = []
    still_open = Counter(call.function.address for call in begun)
    for loss in recording.reader.losses(recording.process.id, thread.number):
        if loss.kind != ORPHAN_EXIT or loss.call:
            continue
        is_end = still_open[loss.count] > 0
        while is_end:
            call = open_calls.pop()
            still_open[call.function.address] -= 1
            ended.append(replace(call, end_ticks=loss.ticks))
            # A jump may have left the inner ones without an exit.
            is_end = call.function.address != loss.count
    return open_calls + ended[::-1]
