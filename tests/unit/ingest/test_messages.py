from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltrace_collector import wire
from calltrace_collector.errors import ProtocolError
from calltrace_collector.ingest.messages import read_message, read_module, read_process, read_thread
from tests.unit.ingest.builders import process_info, process_message


def test_a_process_is_read_field_by_field() -> None:
    assert read_process(process_message()) == process_info()


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda p: setattr(p, "session_id", b"short"), "16 bytes"),
        (lambda p: setattr(p, "parent_session_id", b"x"), "parent"),
        (lambda p: setattr(p, "pid", 0), "process id 0"),
        (lambda p: setattr(p, "pid", (1 << 22) + 1), "process id"),
        (lambda p: setattr(p, "start_time_jiffies", 1 << 63), "start time"),
        (lambda p: setattr(p.clock, "ticks", 1 << 63), "clock"),
        (lambda p: setattr(p, "capture", "x" * 4097), "4096 bytes"),
        (lambda p: setattr(p, "capture", "\N{BULLET}" * 1366), "4096 bytes"),
    ],
)
def test_what_cannot_be_a_process_is_refused(spoil: Callable[[wire.Process], None], word: str) -> None:
    process = process_message()
    spoil(process)
    with pytest.raises(ProtocolError, match=word):
        read_process(process)


@pytest.mark.parametrize("globs", ["", "*", "parse_*,ns::*", "a[b", "x" * 4096])
def test_what_is_to_be_captured_is_read_as_it_is(globs: str) -> None:
    process = process_message()
    process.capture = globs
    assert read_process(process).capture == globs


def test_times_beyond_the_database_are_refused() -> None:
    with pytest.raises(ProtocolError):
        read_thread(wire.Thread(started_ticks=1 << 63))
    with pytest.raises(ProtocolError):
        read_module(wire.Module(unloaded_ticks=1 << 63))
    with pytest.raises(ProtocolError):
        read_module(wire.Module(build_id=b"x" * 65))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    try:
        message = read_message(data)
    except ProtocolError:
        return
    assert wire.AgentMessage.FromString(message.SerializeToString()) == message
