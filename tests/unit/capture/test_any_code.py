"""Files may hold any bytes as code: traces end, and say what they say without failing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from calltrace_collector.capture.trace.entry_trace import EntryTrace, trace_entry
from calltrace_collector.capture.trace.exit_trace import ExitTrace, trace_exit

# Beginnings of instructions that do much: branches, pushes, moves to and from the stack, vectors, the x87.
STARTS = [
    b"\x75",
    b"\xe9",
    b"\xe8",
    b"\x55",
    b"\x48\x89\x44\x24",
    b"\x48\x8b\x04\x24",
    b"\xf3\x0f\x10",
    b"\xdb\x2c\x24",
]
STARTS += [
    b"\x48\x83\xe4\xe0",
    b"\x0f\x11\x04\x24",
    b"\xf3\x48\xab",
    b"\xc5\xf8\x28",
    b"\xd9",
    b"\x0f\xa3",
    b"\xff",
    b"\xc3",
]

codes = st.lists(st.sampled_from(STARTS) | st.binary(min_size=1, max_size=6), max_size=60).map(b"".join)


class AnyCode:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, address: int, size: int) -> bytes:
        return self._data[address:][:size]

    def target_name(self, _address: int) -> str | None:
        return None

    def got_name(self, address: int) -> str | None:
        return "some" if address % 3 == 0 else None

    def constant(self, address: int, size: int) -> bytes | None:
        return bytes(size) if address % 5 == 0 else None


@given(codes, st.integers(0, 20))
def test_an_epilogue_may_be_anything(data: bytes, start: int) -> None:
    trace = trace_exit(AnyCode(data), start, 0)
    if isinstance(trace, ExitTrace):
        for index in (0, 1):
            trace.register(index, 8)
            trace.xmm(index, 1, 3)
        trace.x87()
        trace.hidden()


@given(codes, st.integers(1, 120))
def test_a_prologue_may_be_anything(data: bytes, end: int) -> None:
    code = data[: max(end - 5, 0)].ljust(max(end - 5, 0), b"\x90") + b"\xe8\0\0\0\0" + data
    trace = trace_entry(AnyCode(code), 0, max(end, 5))
    if isinstance(trace, EntryTrace):
        for number in range(16):
            trace.register(number, 8)
            trace.xmm(number, 0, 5)
        trace.stack(8, 100)
