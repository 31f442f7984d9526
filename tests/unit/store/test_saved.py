"""A collector that carries on finds what the one before it stored."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calltrace_collector.errors import StoreError
from calltrace_collector.model.commit import Commit, Place, SavedProcess, SiteRow, StackPart, ThreadProgress
from calltrace_collector.model.process import ModuleInfo, ProcessEnd, ProcessState, Segment, ThreadInfo
from calltrace_collector.store.read.saved import saved_process
from calltrace_collector.store.writer import Writer
from tests.unit.store.samples import frames, pack, process_info

u32 = st.integers(0, (1 << 32) - 1)
u64 = st.integers(0, (1 << 64) - 1)
i64 = st.integers(-(1 << 63), (1 << 63) - 1)
# What agents send is valid UTF-8; NUL and surrogates are stored in other words, which test_writer shows.
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)

threads = st.lists(
    st.builds(ThreadInfo, u32, u32, words, u64, u64, u64, u32), max_size=4, unique_by=lambda t: t.number
)
modules = st.lists(
    st.builds(
        ModuleInfo,
        st.integers(0, 3),
        words,
        st.binary(max_size=20),
        u64,
        st.lists(st.builds(Segment, u64, u64, u64, u32), max_size=3).map(tuple),
        u64,
        u64,
    ),
    unique_by=lambda module: module.number,
)


@st.composite
def states(draw: st.DrawFn) -> tuple[Commit, SavedProcess]:
    """A commit, and what is to be found after it."""
    its_threads = draw(threads)
    its_modules = draw(modules)
    places: st.SearchStrategy[Place | None] = st.none()
    if its_modules:
        places = st.none() | st.builds(Place, st.sampled_from([one.number for one in its_modules]), u64)
    functions = draw(st.lists(st.tuples(u64, places), min_size=1, max_size=4))
    sites = []
    for number in range(draw(st.integers(0, 6))):
        function = draw(st.integers(0, len(functions) - 1))
        address, place = functions[function]
        sites.append(SiteRow(number, function, address, draw(u64), draw(i64), place, draw(places)))
    steps, stacks = [], {}
    for thread in its_threads:
        depth = draw(st.integers(0, 5) | st.sampled_from([4095, 4096, 4097, 9000]))
        stack = frames(depth, thread.number)
        parts = tuple(
            StackPart(part, pack(stack[part * 4096 * 40 : (part + 1) * 4096 * 40]))
            for part in range(-(-depth // 4096))
        )
        names = ("calls", "last_ticks", "ring_end", "dropped", "orphan_exits", "cut", "folded")
        values: dict[str, Any] = {name: draw(st.integers(0, 1 << 50)) for name in names}
        values |= {
            "depth": depth,
            "next_chunk": draw(u32),
            "stack_parts": parts,
            "profile": pack(b"%d" % depth),
        }
        steps.append(ThreadProgress(thread=thread.number, **values))
        stacks[thread.number] = stack
    sequence = draw(st.integers(1, (1 << 63) - 1))
    commit = Commit(0, sequence, threads=its_threads, modules=its_modules, sites=sites, progress=steps)
    saved = SavedProcess(
        process=0,
        sequence=sequence,
        ended=False,
        threads=tuple(sorted(its_threads, key=lambda one: one.number)),
        modules=tuple(sorted(its_modules, key=lambda one: one.number)),
        sites=tuple(sites),
        progress=tuple(
            replace(step, stack_parts=(), profile=b"") for step in sorted(steps, key=lambda one: one.thread)
        ),
        stacks=stacks,
        profiles={step.thread: b"%d" % step.depth for step in steps},
    )
    return commit, saved


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(states(), st.binary(min_size=16, max_size=16))
def test_what_was_stored_is_found(
    writer: Writer, state: tuple[Commit, SavedProcess], session_id: bytes
) -> None:
    commit, expected = state
    info = process_info(session_id=session_id)
    process = writer.open_process(info).process
    if writer.open_process(info).sequence:  # an example of this run had the same session id
        return
    writer.commit([replace(commit, process=process)])
    assert writer.open_process(info) == replace(expected, process=process)


def test_ended(writer: Writer) -> None:
    process = writer.open_process(process_info()).process
    writer.commit([Commit(process, 1, end=ProcessEnd(ProcessState.EXECED, None, None, 5))])
    assert writer.open_process(process_info()).ended


def test_process_that_is_not_there(writer: Writer) -> None:
    with (
        writer._reading_engine.connect() as connection,
        pytest.raises(StoreError, match="process 5 is not in"),
    ):
        saved_process(connection, 5)
