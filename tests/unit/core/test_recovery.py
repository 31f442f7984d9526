"""Records in a ring, through the agent's encoder and the core, against the calls that made them."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field

import pytest

from calltrace_collector.core.recovery import RingWords, crc32c, recover_ring
from calltrace_collector.core.rows import decode_chunk
from calltrace_collector.core.trace import Trace

RING_WORDS = 1 << 13
BASE = 0x7FFF_FFF0_0000
RETURNED, UNWOUND, ABANDONED, OPEN = 0, 1, 2, 3
ENTRY, EXIT, NOTE = 0, 1, 3
RAISE, LAND, CATCH, JUMP = 1, 3, 4, 5


@dataclass
class Frame:
    call: int
    function: int
    call_site: int
    stack_pointer: int


@dataclass
class Program:
    """Makes calls as a machine does, and the records that its hooks write."""

    chance: random.Random
    words: list[int] = field(default_factory=list)
    calls: list[list[int]] = field(default_factory=list)  # function, parent's number, status, depth
    frames: list[Frame] = field(default_factory=list)
    ticks: int = 1000

    def _event(self, kind: int, address: int, stack_pointer: int) -> None:
        self.ticks += self.chance.randrange(1, 50)
        low = (stack_pointer >> 4) & 0x3FFF
        self.words += [self.ticks, address | low << 48 | kind << 62]

    def enter(self, function: int, call_site: int, stack_pointer: int) -> None:
        self._event(ENTRY, function, stack_pointer)
        self.words.append(call_site | ((stack_pointer >> 18) & 0xFFFF) << 48)
        parent = self.frames[-1].call if self.frames else 0
        self.calls.append([function, parent, OPEN, len(self.frames)])
        self.frames.append(Frame(len(self.calls), function, call_site, stack_pointer))

    def note(self, kind: int, address: int, stack_pointer: int) -> None:
        self._event(NOTE, address, stack_pointer)
        self.words.append(kind | ((stack_pointer >> 18) & 0xFFFF) << 48)

    def call(self) -> None:
        """An ordinary call, with a frame of any size; recursion often."""
        caller = self.frames[-1] if self.frames else None
        function = self.chance.choice([0x401000, 0x401100, 0x401200, caller.function if caller else 0x401000])
        above = caller.stack_pointer if caller else BASE
        size = 16 * self.chance.choice([1, 2, 3, 8, 100, 5000])
        self.enter(function, 0x500000 + self.chance.randrange(20), above - size)

    def inline(self) -> None:
        """The entry of a function that is inlined in the innermost one: same frame, same call site."""
        if self.frames:
            host = self.frames[-1]
            self.enter(0x409000, host.call_site, host.stack_pointer)

    def leave(self) -> None:
        """An exit; the frame may have grown since the entry (alloca)."""
        if self.frames:
            frame = self.frames.pop()
            grown = 16 * self.chance.choice([0, 0, 0, 7])
            if any(other.function == frame.function for other in self.frames):
                grown = 0  # which activation of a function has grown its frame nobody can tell
            self._event(EXIT, frame.function, frame.stack_pointer - grown)
            self.calls[frame.call - 1][2] = RETURNED

    def can_leave(self, count: int) -> bool:
        """Whether the innermost calls can be left at once: what is inlined has no frame of its own."""
        return (
            len(self.frames) > count
            and self.frames[-count].stack_pointer < self.frames[-count - 1].stack_pointer
        )

    def give_up(self, count: int, status: int) -> list[Frame]:
        gone = self.frames[len(self.frames) - count :]
        del self.frames[len(self.frames) - count :]
        for frame in gone:
            self.calls[frame.call - 1][2] = status
        return gone

    def jump(self) -> None:
        """A jump over some frames that is not longjmp's; the one that was jumped into calls again."""
        count = self.chance.randrange(1, 4)
        if self.can_leave(count):
            gone = self.give_up(count, ABANDONED)
            self.enter(0x401300, 0x600000 + len(self.calls), gone[0].stack_pointer)

    def longjmp(self) -> None:
        count = self.chance.randrange(1, 4)
        if self.can_leave(count):
            self.give_up(count, ABANDONED)
            self.note(JUMP, self.frames[-1].stack_pointer, BASE - 8000)

    def throw(self) -> None:
        """An exception: some functions clean up, with an exit hook (gcc) or without, and make calls."""
        count = self.chance.randrange(0, 5)
        if (count and not self.can_leave(count)) or not self.frames:
            return
        self.note(RAISE, 0, self.frames[-1].stack_pointer - 64)
        below = 0
        for _ in range(count):
            frame = self.frames[-1]
            if self.chance.random() < 0.5 and frame.stack_pointer > below:
                self.note(LAND, 0, frame.stack_pointer)
                if self.chance.random() < 0.5:
                    self.cleanup()
                if self.chance.random() < 0.5:
                    self._event(EXIT, frame.function, frame.stack_pointer)
            below = frame.stack_pointer
            self.give_up(1, UNWOUND)
        self.note(CATCH, 0, self.frames[-1].stack_pointer)

    def cleanup(self) -> None:
        """A destructor, which may throw and catch an exception of its own."""
        self.enter(0x401F00, 0x700000, self.frames[-1].stack_pointer - 48)
        if self.chance.random() < 0.3:
            self.enter(0x401E00, 0x700100, self.frames[-1].stack_pointer - 4800)
            self.note(RAISE, 0, self.frames[-1].stack_pointer - 64)
            self.give_up(1, UNWOUND)
            self.note(CATCH, 0, self.frames[-1].stack_pointer)
        frame = self.frames.pop()
        self._event(EXIT, frame.function, frame.stack_pointer)
        self.calls[frame.call - 1][2] = RETURNED


def run(seed: int) -> Program:
    program = Program(random.Random(seed))
    steps = (
        [program.call] * 5
        + [program.leave] * 5
        + [
            program.inline,
            program.jump,
            program.longjmp,
            program.throw,
        ]
    )
    while len(program.words) < RING_WORDS - 200 and len(program.calls) < 400:
        program.chance.choice(steps)()
    return program


def recorded(program: Program) -> tuple[Trace, list[list[int]]]:
    """The calls that the core gets from the ring, in the form of Program.calls."""
    packed = struct.pack(f"<{len(program.words)}Q", *program.words).ljust(RING_WORDS * 8, b"\0")
    trace = Trace()
    trace.declare_thread(0, 900, BASE)
    words = RingWords(packed, 0, len(program.words), 0)
    for batch in recover_ring(trace, 0, words, 0):
        trace.feed(batch)
    trace.flush()
    (chunk,) = trace.take_chunks()
    rows = decode_chunk(
        chunk.columns,
        rows=chunk.rows,
        late_rows=chunk.late_rows,
        first_call=chunk.first_call,
        base_call=chunk.base_call,
    )
    functions = trace.sites()["function_address"][rows.site]
    columns = (functions, rows.parent, rows.status, rows.depth)
    return trace, [list(call) for call in zip(*(column.tolist() for column in columns), strict=True)]


@pytest.mark.parametrize("seed", range(150))
def test_the_calls_are_those_that_were_made(seed: int) -> None:
    program = run(seed)
    trace, calls = recorded(program)
    assert calls == program.calls
    frames = trace.frames(0)
    assert frames["call"].tolist() == [frame.call for frame in program.frames]
    assert frames["stack_pointer"].tolist() == [frame.stack_pointer for frame in program.frames]
    assert trace.thread(0).orphan_exits == 0


def test_crc32c_is_castagnolis() -> None:
    # The check value and the examples of RFC 3720, appendix B.4.
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
