"""Trees show, line by line, what a look at the list of all calls says they should."""

import random
from itertools import groupby

import pytest

from calltrace_collector.core import twin
from calltrace_collector.query.filters import CallFilter
from calltrace_collector.query.recording import Recording
from calltrace_collector.query.tree import ANCESTORS_AT_ENDS, fair_share, tree
from calltrace_collector.query.tree_lines import (
    Ancestor,
    AncestorsLeftOut,
    Call,
    Deeper,
    Gap,
    Rest,
    ThreadStart,
    TreeLine,
)
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.support.synthetic import Synthetic, function
from tests.unit.query.brute import FUNCTIONS, SEEDS, passes, random_filter, random_process


def opened(reader: Reader, synthetic: Synthetic) -> Recording:
    return Recording(reader, reader.processes(process=synthetic.process)[0])


def lines(
    recording: Recording, wanted: CallFilter | None = None, *, limit: int | None, max_depth: int | None
) -> list[TreeLine]:
    """The tree of the first thread."""
    matcher = recording.matcher(wanted or CallFilter())
    return list(tree(recording, recording.threads[:1], matcher, limit=limit, max_depth=max_depth))


def call_line(synthetic: Synthetic, call: twin.Call) -> Call:
    until_ns = synthetic.unix_ns(synthetic.until_ticks(call))
    return Call(call.site, call.depth, call.status, until_ns - synthetic.unix_ns(call.start_ticks))


def shown_calls(
    hits: list[twin.Call], limit: int | None, max_depth: int | None
) -> tuple[list[tuple[int, twin.Call]], int]:
    """The hits that are shown, each with the number of hits left out before it, and how many are left out."""
    shallow = [at for at, call in enumerate(hits) if max_depth is None or call.depth <= max_depth][:limit]
    before = [at - (last + 1) for last, at in zip([-1, *shallow], shallow, strict=False)]
    left = len(hits) - (shallow[-1] + 1 if shallow else 0)
    return list(zip(before, [hits[at] for at in shallow], strict=True)), left


def whole_tree(synthetic: Synthetic, limit: int | None, max_depth: int | None) -> list[TreeLine]:
    """What is to be shown of all calls, but for the line that the thread begins with."""
    shown, left = shown_calls(synthetic.calls(), limit, max_depth)
    losses = sorted(loss for loss in synthetic.twin.losses if loss[0] == 0)
    losses.sort(key=lambda loss: (loss[3], loss[2], loss[1], loss[4]))
    expected: list[TreeLine] = []
    depth = 0

    def gaps(until_ticks: float) -> None:
        here = [losses.pop(0) for _ in range(sum(loss[3] < until_ticks for loss in losses))]
        if here:
            innermost = synthetic.calls()[here[0][2] - 1].depth + 1 if here[0][2] else 0
            dropped = sum(loss[4] for loss in here if loss[1] == 4)
            expected.append(Gap(min(innermost, depth), dropped, sum(loss[1] == 2 for loss in here)))

    for hidden, call in shown:
        if hidden:
            expected.append(Deeper(depth, hidden))
        gaps(call.start_ticks)
        expected.append(call_line(synthetic, call))
        depth = call.depth + 1
    if left and (len(shown) == limit or max_depth is None):
        return [*expected, Rest(left)]
    if left:
        expected.append(Deeper(depth, left))
    gaps(float("inf"))
    return expected


def callers(call: twin.Call) -> list[twin.Call]:
    """The calls around a call, outermost first."""
    return [*callers(call.parent), call.parent] if call.parent else []


def filtered_tree(
    synthetic: Synthetic, wanted: CallFilter, limit: int | None, max_depth: int | None
) -> list[TreeLine]:
    hits = [call for call in synthetic.calls() if passes(synthetic, call, wanted)]
    shown, left = shown_calls(hits, limit, max_depth)
    expected: list[TreeLine] = []
    path: list[twin.Call] = []
    for hidden, call in shown:
        if hidden:
            expected.append(Deeper(path[-1].depth + 1 if path else 0, hidden))
        new = [Ancestor(each.site, each.depth) for each in callers(call) if each not in path]
        ends, between = ANCESTORS_AT_ENDS, len(new) - 2 * ANCESTORS_AT_ENDS
        if between > 1:
            expected += [*new[:ends], AncestorsLeftOut(new[ends].depth, between), *new[-ends:]]
        else:
            expected += new
        expected.append(call_line(synthetic, call))
        path = [*callers(call), call]
    if left:
        is_full = len(shown) == limit or max_depth is None
        expected.append(Rest(left) if is_full else Deeper(path[-1].depth + 1 if path else 0, left))
    return expected


@pytest.mark.parametrize("seed", SEEDS)
def test_the_tree_of_all_calls(writer: Writer, reader: Reader, seed: int) -> None:
    synthetic = Synthetic(writer, FUNCTIONS)
    random_process(synthetic, seed)
    recording = opened(reader, synthetic)
    chance = random.Random(seed)
    start = ThreadStart(recording.threads[0])
    kinds = set()
    for limit in (None, 0, 1, chance.randint(2, 300), 10_000):
        for max_depth in (None, 0, 1, chance.randint(2, 20)):
            expected = [start, *whole_tree(synthetic, limit, max_depth)]
            assert lines(recording, limit=limit, max_depth=max_depth) == expected, (limit, max_depth)
            kinds |= {type(line) for line in expected}
    assert {Call, Deeper, Gap, Rest} <= kinds


@pytest.mark.parametrize("seed", SEEDS)
def test_the_tree_of_calls_that_pass_a_filter(writer: Writer, reader: Reader, seed: int) -> None:
    synthetic = Synthetic(writer, FUNCTIONS)
    random_process(synthetic, seed)
    recording = opened(reader, synthetic)
    chance = random.Random(seed)
    kinds = set()
    for number in range(20):
        wanted = random_filter(synthetic, seed * 100 + number)
        if wanted.is_everything:
            continue
        limit = chance.choice([None, 1, 7, 100])
        max_depth = chance.choice([None, None, 0, 3, 10])
        expected = filtered_tree(synthetic, wanted, limit, max_depth)
        found = lines(recording, wanted, limit=limit, max_depth=max_depth)
        assert found[1:] == expected, (wanted, limit, max_depth)
        assert found[:1] == ([ThreadStart(recording.threads[0])] if expected else [])
        kinds |= {type(line) for line in expected}
    assert {Call, Ancestor, Rest} <= kinds


def test_a_long_way_to_a_hit_is_shortened(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, [function("down"), function("bottom")], chunk_rows=100)
    for _ in range(5000):
        synthetic.enter("down")
    synthetic.enter("bottom")
    synthetic.commit()
    found = lines(opened(reader, synthetic), CallFilter(function="bottom"), limit=None, max_depth=None)
    depths = [(type(line), getattr(line, "depth", None)) for line in found]
    assert depths == [
        (ThreadStart, None),
        *[(Ancestor, depth) for depth in range(ANCESTORS_AT_ENDS)],
        (AncestorsLeftOut, ANCESTORS_AT_ENDS),
        *[(Ancestor, 5000 - ANCESTORS_AT_ENDS + depth) for depth in range(ANCESTORS_AT_ENDS)],
        (Call, 5000),
    ]
    assert found[ANCESTORS_AT_ENDS + 1] == AncestorsLeftOut(ANCESTORS_AT_ENDS, 5000 - 2 * ANCESTORS_AT_ENDS)


def test_threads_share_the_limit(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, FUNCTIONS, threads=4)
    for thread, calls in enumerate([100, 2, 0, 50]):
        for _ in range(calls):
            synthetic.enter("leaf", thread=thread)
            synthetic.leave(thread=thread)
    synthetic.commit()
    recording = opened(reader, synthetic)
    shown = tree(recording, recording.threads, recording.matcher(CallFilter()), limit=21)
    assert [(kind, len(list(some))) for kind, some in groupby(map(type, shown))] == [
        (ThreadStart, 1),
        (Call, 10),
        (Rest, 1),
        (ThreadStart, 1),
        (Call, 2),
        (ThreadStart, 2),
        (Call, 9),
        (Rest, 1),
    ]


@pytest.mark.parametrize(
    ("limit", "needs", "share"),
    [
        (10, [3], 3),
        (10, [30], 10),
        (10, [30, 30], 5),
        (11, [30, 30], 6),
        (10, [30, 2], 8),
        (10, [2, 30], 2),
        (10, [30, 2, 30, 0], 4),
        (0, [5, 5], 0),
        (1, [5, 5, 5], 1),
        (10, [0, 30], 0),
    ],
)
def test_a_fair_share(limit: int, needs: list[int], share: int) -> None:
    assert fair_share(limit, needs) == share
