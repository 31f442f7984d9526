"""The threads of one process, and their stacks, each of which counts as a thread of its own."""

from __future__ import annotations

from dataclasses import replace

from calltrace_collector.core.recovery import ThreadStack
from calltrace_collector.core.trace import Trace
from calltrace_collector.errors import ProtocolError
from calltrace_collector.ingest.export import ThreadExport, restore_thread
from calltrace_collector.model.commit import SavedProcess, ThreadProgress
from calltrace_collector.model.crash import CrashRecord
from calltrace_collector.model.process import ThreadInfo

__all__ = ["ThreadTable"]

MAX_THREADS = 1 << 20


class ThreadTable:
    """What is known of the threads of a process, and how far each of them is stored.

    A thread that has ended stays known; what the core keeps of it is freed with the commit that says so.

    Args:
        trace: what the core knows of the process.
        pid: of the process.
    """

    def __init__(self, trace: Trace, pid: int) -> None:
        self._trace = trace
        self._pid = pid
        self._threads: dict[int, ThreadInfo] = {}
        self._exports: dict[int, ThreadExport] = {}
        self._changed: list[ThreadInfo] = []
        self._forgotten_calls = 0

    def restore(self, saved: SavedProcess) -> None:
        """Takes the threads that an earlier collector stored."""
        for thread in saved.threads:
            self._declare(thread)
            if thread.stack_of is not None:
                self._trace.set_owner(thread.number, thread.stack_of)
        for progress in saved.progress:
            thread = self._threads[progress.thread]
            if progress.thread in saved.profiles:  # else it is known, but nothing of what it did
                restore_thread(self._trace, progress, thread.stack_base, saved)
            if thread.ended_ticks:
                self._forget(thread.number)

    # --- what there is ---

    def calls(self) -> int:
        """Calls entered so far, on all threads."""
        return self._forgotten_calls + sum(state.calls for _, state in self._trace.threads())

    def last_ticks(self) -> int:
        """When a thread that has not ended did something last; 0: none did."""
        return max((state.last_ticks for _, state in self._trace.threads()), default=0)

    def stacks_of(self, thread: int) -> list[ThreadStack]:
        """The stacks, besides its own, of a thread that has not ended."""
        return [
            ThreadStack(number, self._threads[number].stack_base, self._threads[number].stack_bytes)
            for number in sorted(self._exports)
            if self._threads[number].stack_of == thread
        ]

    def crashed_stack(self, record: CrashRecord) -> int | None:
        """The number under which the calls are that the crashing thread was in: its own, or one of a stack.

        None: its ring got lost, or it has ended since, for the program dealt with the signal.
        """
        if record.thread is None or record.thread not in self._exports:
            return None
        for stack in self.stacks_of(record.thread):
            low = stack.stack_base - stack.size_bytes
            if record.stack_pointer is not None and low <= record.stack_pointer < stack.stack_base:
                return stack.number
        return record.thread

    # --- what is new ---

    def take(self, thread: ThreadInfo) -> None:
        """Takes a new thread, or what is new of one; the stacks of one that has ended have ended with it.

        Raises:
            ProtocolError: there are too many.
        """
        self._declare(thread)
        self._changed.append(thread)
        if thread.ended_ticks and thread.stack_of is None:
            for stack in self.stacks_of(thread.number):
                self.take(replace(self._threads[stack.number], ended_ticks=thread.ended_ticks))

    def take_left(self, thread: ThreadInfo) -> bool:
        """Takes what a ring that was left behind says of its thread.

        Returns:
            Whether there may be something in the ring: not when the thread had ended, for then all of it is
            in the outbox.

        Raises:
            ProtocolError: there are too many.
        """
        if thread.number not in self._threads:
            self.take(thread)
        elif thread.number not in self._exports:
            return False
        elif thread.ended_ticks:
            self.take(replace(self._threads[thread.number], ended_ticks=thread.ended_ticks))
        return True

    def take_stacks(self) -> None:
        """Takes the stacks that the core has found meanwhile.

        Raises:
            ProtocolError: there are too many.
        """
        for number, owner, started_ticks, stack_base, size_bytes in self._trace.take_stacks().tolist():
            stack = replace(
                self._threads[owner],
                number=number,
                started_ticks=started_ticks,
                ended_ticks=0,
                stack_base=stack_base,
                stack_of=owner,
                stack_bytes=size_bytes,
            )
            self.take(stack)

    def _declare(self, thread: ThreadInfo) -> None:
        if thread.number >= MAX_THREADS:
            raise ProtocolError(f"the agent of process {self._pid} told of more than {MAX_THREADS} threads")
        if thread.number not in self._threads:
            self._trace.declare_thread(thread.number, thread.started_ticks, thread.stack_base)
            self._exports[thread.number] = ThreadExport(thread.number)
        self._threads[thread.number] = thread

    # --- committing ---

    def commit_threads(self) -> list[ThreadInfo]:
        """Returns the threads of which something is new since the last time, as often as there was."""
        changed, self._changed = self._changed, []
        return changed

    def commit_progress(self) -> list[ThreadProgress]:
        """Returns how far threads have come since the last time, and frees those that have ended."""
        found = []
        for number, export in list(self._exports.items()):
            progress = export.take(self._trace)
            if progress is not None:
                found.append(progress)
            if self._threads[number].ended_ticks:
                self._forget(number)
        return found

    def _forget(self, number: int) -> None:
        """Frees what is kept of a thread that has ended: its last message has been taken."""
        self._forgotten_calls += self._trace.thread(number).calls
        self._trace.forget_thread(number)
        del self._exports[number]
