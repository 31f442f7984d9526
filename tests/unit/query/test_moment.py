"""The calls of a thread at a moment, compared with the twin's."""

from __future__ import annotations

import random

import pytest

from calltrace_collector.core.twin import Call
from calltrace_collector.query.moment import Moment, PastCall
from calltrace_collector.query.recording import Recording
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.support.synthetic import START_TICKS, Synthetic, function

FUNCTIONS = [function("f"), function("g"), function("h")]
OPEN = 3


def recording_of(reader: Reader) -> Recording:
    return Recording(reader, reader.processes()[0])


def expected(synthetic: Synthetic, number: int, call: Call, ticks: int) -> PastCall:
    has_ended = call.status != OPEN and call.end_ticks <= ticks
    start_ns = synthetic.unix_ns(call.start_ticks)
    return PastCall(
        call=number,
        site=call.site,
        depth=call.depth,
        start_ns=start_ns,
        since_ns=synthetic.unix_ns(ticks) - start_ns,
        duration_ns=synthetic.unix_ns(call.end_ticks) - start_ns if has_ended else None,
    )


@pytest.mark.parametrize("seed", range(6))
def test_any_moment_of_any_thread(writer: Writer, reader: Reader, seed: int) -> None:
    synthetic = Synthetic(writer, FUNCTIONS, threads=2, chunk_rows=random.Random(seed).choice([2, 8, 50]))
    synthetic.at_random(seed, 300)
    synthetic.end()
    recording = recording_of(reader)
    chance = random.Random(seed)
    for thread in recording.threads:
        calls = synthetic.calls(thread.number)
        moments = [call.start_ticks for call in calls] + [call.end_ticks for call in calls]
        for ticks in [0, START_TICKS, *chance.sample(moments, 30), max(moments) + 1]:
            past = [
                expected(synthetic, number, call, ticks)
                for number, call in enumerate(calls, start=1)
                if call.start_ticks <= ticks
            ]
            moment = Moment(recording, thread, ticks)
            assert moment.open_calls() == [call for call in past if call.duration_ns is None]
            for limit in (0, 1, 7, 1000):
                assert moment.last_calls(limit) == past[len(past) - min(limit, len(past)) :]


def test_a_thread_without_calls(writer: Writer, reader: Reader) -> None:
    Synthetic(writer, FUNCTIONS).end()
    recording = recording_of(reader)
    moment = Moment(recording, recording.threads[0], START_TICKS)
    assert (moment.open_calls(), moment.last_calls(5)) == ([], [])


def test_deep_stacks_are_walked_chunk_by_chunk(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, FUNCTIONS, chunk_rows=64)
    for _ in range(500):
        synthetic.enter("f")
        synthetic.enter("g")
        synthetic.leave()
    synthetic.end()
    recording = recording_of(reader)
    found = Moment(recording, recording.threads[0], START_TICKS << 1).open_calls()
    assert [call.call for call in found] == list(range(1, 1001, 2))
    assert [call.depth for call in found] == list(range(500))
