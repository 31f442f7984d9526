"""Threads: who created them, their names, how they end; and that those gone leave nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.collector import Collector

CALLS = 15
CXX = ("-O0", "-pthread", "-finstrument-functions", "-finstrument-functions-exclude-file-list=/c++/")
RINGS_AT_MOST = 100
"""Of 10,000 threads, eight at a time: a ring is used again when the flusher has seen its thread end."""


def threads_of(collector: Collector, pid: int) -> list[dict[str, Any]]:
    """`calltrace threads`."""
    answer: list[dict[str, Any]] = json.loads(
        collector.ask("threads", "--pid", str(pid), "--format", "json").stdout
    )
    return answer


@pytest.mark.parametrize("branches", [1, 8])
def test_threads_have_their_creators_and_names(
    collector: Collector, build: Callable[..., Path], tmp_path: Path, branches: int
) -> None:
    log = tmp_path / "log"
    pid, _ = collector.run(build("crew.cpp", *CXX), str(branches), CREW_LOG=str(log))
    logged = {}
    for line in log.read_text().splitlines():
        tid, creator, name = line.split(" ", 2)
        logged[int(tid)] = (int(creator), name)
    assert len(logged) == 4 * branches + 2

    threads = threads_of(collector, pid)
    assert {each["tid"]: (each["creator_tid"] or 0, each["name"]) for each in threads} == logged
    tids = {each["thread"]: each["tid"] for each in threads}
    for each in threads:
        assert each["calls"] == CALLS
        assert (each["ended_at"] is None) == (each["tid"] == pid)
        assert tids.get(each["created_by"], 0) == logged[each["tid"]][0]
    tree = collector.ask("query", "--pid", str(pid), "--limit", "0").stdout
    for each in threads:
        made_by = f", created by {each['created_by']} " if each["tid"] != pid else "\n"
        assert f"tid {each['tid']}, {CALLS} calls{made_by}" in tree


@pytest.mark.parametrize(
    ("way", "exit_code", "calls"),
    [
        ("deep", 3, 25),
        ("_exit", 3, 25),
        ("quick", 3, 15),
        ("thread", 3, 40),
        ("cancel", 0, 33),
        ("async", 0, 33),
        # Eleven calls of leave_thread(), and of cleanup(), which calls work().
        ("pthread_exit", 0, 63),
        ("main", 0, 30),
    ],
)
def test_however_a_thread_or_the_process_is_left(
    collector: Collector, build: Callable[..., Path], way: str, exit_code: int, calls: int
) -> None:
    program = collector.spawn(build("leaving.c"), way)
    assert program.wait() == exit_code
    _, errors = program.communicate()
    assert errors == ""
    end = collector.wait_for_end(program.pid)
    assert end["calls"] == calls
    assert (end["state"], end["exit_code"]) == ("exited", exit_code)
    work = collector.calls(program.pid, "--function", "work")
    cleanups = {"cancel": 1, "async": 1, "pthread_exit": 11}.get(way, 0)
    in_second_thread = 0 if way in ("deep", "_exit", "quick") else CALLS
    assert len(work) == CALLS + in_second_thread + cleanups
    assert {call["status"] for call in work} == {"returned"}


def test_threads_that_come_and_go_leave_nothing_behind(
    collector: Collector, build: Callable[..., Path]
) -> None:
    threads = 10_000
    _, few = collector.run(build("churn.c"), "8")
    pid, many = collector.run(build("churn.c"), str(threads))
    process = collector.process(pid)
    assert (process["threads"], process["calls"]) == (threads, threads * CALLS)
    assert process["lost_events"] == 0
    (work,) = collector.report(pid)
    assert (work["function"], work["calls"]) == ("work", threads * CALLS)

    descriptors, mappings, rings = map(int, many.split())
    descriptors_of_few, mappings_of_few, rings_of_few = map(int, few.split())
    assert descriptors == descriptors_of_few
    assert 1 <= rings_of_few <= 8
    assert rings <= RINGS_AT_MOST
    # A ring, its producer and the flusher's notes of its thread's calls.
    assert mappings - mappings_of_few <= 6 * RINGS_AT_MOST
