"""Whatever a session takes from an agent, the store can take from the session.

A commit that the store refuses holds up those of all other sessions: what cannot be stored must be refused
when it comes in.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calltrace_collector import wire
from calltrace_collector.errors import ProtocolError
from calltrace_collector.ingest.messages import read_message, read_process
from calltrace_collector.ingest.session import IngestSession
from calltrace_collector.store.writer import Writer

U32 = st.sampled_from([0, 1, 2, 77, (1 << 31) - 1, 1 << 31, (1 << 32) - 1])
U64 = st.sampled_from([0, 1, 1000, (1 << 53) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
TEXT = st.one_of(st.sampled_from(["", "name", "\0", "a\0b", "\ufffe", "x" * 5000]), st.text(max_size=20))
BYTES = st.binary(max_size=80)
SMALL = st.integers(0, 3)

# What is refused at once teaches nothing: most examples keep to what a clock may say.
U63 = st.sampled_from([0, 1, 1000, (1 << 53) + 1, (1 << 63) - 1])
CLOCK = st.builds(wire.Clock, ticks=U63, monotonic_ns=U63, realtime_ns=U63)
THREAD = st.builds(
    wire.Thread,
    number=st.one_of(SMALL, U32),
    tid=U32,
    name=TEXT,
    started_ticks=U63,
    ended_ticks=U63,
    stack_base=U64,
)
SEGMENT = st.builds(wire.Segment, address=U64, size_bytes=U64, file_offset=U64, flags=U32)
MODULE = st.builds(
    wire.Module,
    number=st.one_of(SMALL, U32),
    path=TEXT,
    build_id=BYTES,
    load_bias=U64,
    segments=st.lists(SEGMENT, max_size=3),
    loaded_ticks=U63,
    unloaded_ticks=U63,
)
SITE = st.builds(
    wire.Site,
    function_address=U64,
    call_site_address=U64,
    frame_delta_bytes=st.sampled_from([0, 32, -(1 << 63), (1 << 63) - 1]),
)
MARK = st.builds(wire.Mark, index=SMALL, kind=st.integers(0, 9), value=st.one_of(SMALL, U64))


@st.composite
def batches(draw: st.DrawFn) -> wire.EventBatch:
    count = draw(st.integers(0, 6))
    return wire.EventBatch(
        thread=draw(st.sampled_from([0, 0, 0, 1])),
        ring_begin=draw(st.one_of(st.just(0), U64)),
        ring_end=draw(st.one_of(st.just(8), U64)),
        base_ticks=draw(U64),
        first_site=draw(st.sampled_from([0, 0, 0, 2])),
        sites=draw(st.lists(SITE, min_size=2, max_size=2)),
        dt=draw(st.lists(U64, min_size=count, max_size=count)),
        op=draw(st.lists(st.sampled_from([0, 1, 1, 2]), min_size=count, max_size=count)),
        marks=draw(st.lists(MARK, max_size=1)),
    )


PROCESS = st.builds(
    wire.Process,
    session_id=st.binary(min_size=16, max_size=16),
    parent_session_id=st.sampled_from([b"", bytes(16)]),
    pid=st.sampled_from([1, 77, 1 << 22]),
    parent_pid=U32,
    executable=TEXT,
    arguments=st.lists(TEXT, max_size=3),
    working_directory=TEXT,
    user_id=U32,
    start_time_jiffies=U63,
    clock=CLOCK,
    agent_version=TEXT,
    architecture=TEXT,
    max_depth=U32,
    host=st.builds(wire.Host, name=TEXT, machine_id=TEXT, boot_id=TEXT, kernel=TEXT),
)
BODIES = st.one_of(
    st.fixed_dictionaries({"clock": CLOCK}),
    st.fixed_dictionaries({"thread": THREAD}),
    st.fixed_dictionaries({"module": MODULE}),
    st.fixed_dictionaries({"batch": batches()}),
    st.fixed_dictionaries({"goodbye": st.builds(wire.Goodbye, exit_code=U32, clock=CLOCK)}),
)


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Writer:
    path = tmp_path_factory.mktemp("storable") / "calls.db"
    shutil.copy(empty_database, path)
    return Writer(str(path))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(process=PROCESS, bodies=st.lists(BODIES, max_size=8))
def test_what_is_taken_can_be_stored(
    writer: Writer, process: wire.Process, bodies: list[dict[str, object]]
) -> None:
    encoded = wire.AgentMessage(process=process).SerializeToString()
    try:
        info = read_process(read_message(encoded).process)
    except ProtocolError:
        return
    session = IngestSession(info, writer.open_process(info))
    for body in [{"thread": wire.Thread(number=0)}, *bodies]:
        message = wire.AgentMessage(sequence=session.received + 1, **body)  # type: ignore[arg-type]
        try:
            session.receive(message.SerializeToString())
        except ProtocolError:
            break
    commit = session.take_commit()
    if commit is not None:
        writer.commit([commit])
    again = IngestSession(info, writer.open_process(info))
    assert again.received == session.received
