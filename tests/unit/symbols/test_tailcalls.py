"""The search for tail calls, in made-up programs: functions start at hundreds."""

from __future__ import annotations

import pytest

from calltrace_collector.symbols.inlines import CallSite
from calltrace_collector.symbols.tailcalls import find_call, find_tail_calls

Program = dict[int, tuple[list[CallSite], bool]]


def tail(at: int, target: int | None, name: str | None = None) -> CallSite:
    return CallSite(at, is_tail=True, target=target, linkage_name=name)


def call(at: int, target: int | None, name: str | None = None) -> CallSite:
    return CallSite(at, is_tail=False, target=target, linkage_name=name)


def search(program: Program, first: CallSite, running: int) -> list[int]:
    names = {"twice": {200, 300}, "once": {300}}
    return find_tail_calls(
        lambda address: program.get(address // 100 * 100, ([], False)),
        lambda name: names.get(name, set()),
        first,
        running,
    )


@pytest.mark.parametrize(
    ("program", "running", "expected"),
    [
        ({}, 200, []),  # the function that was called runs
        ({200: ([tail(250, 300)], True)}, 300, [250]),
        ({200: ([tail(250, 300)], True), 300: ([tail(350, 400)], True)}, 400, [250, 350]),
        ({200: ([tail(250, None, "once")], True)}, 300, [250]),
        ({200: ([tail(250, 300), call(260, 400)], True)}, 300, [250]),
        ({200: ([tail(250, 300), tail(260, 400)], True), 400: ([], True)}, 300, [250]),
        # More than one way, or who knows how many:
        ({200: ([tail(250, 300), tail(260, 300)], True)}, 300, []),
        ({200: ([tail(250, 300)], False)}, 300, []),  # not all tail calls are described
        ({200: ([tail(250, 300), tail(260, None)], True)}, 300, []),  # by a pointer
        ({200: ([tail(250, None, "twice")], True)}, 300, []),  # two functions of that name
        ({200: ([tail(250, 300), tail(260, 200)], True)}, 300, []),  # any number of times
        ({200: ([tail(250, 300), tail(260, 400)], True), 400: ([tail(450, 300)], True)}, 300, []),
        ({200: ([tail(250, 400)], True), 400: ([], True)}, 300, []),  # no way
    ],
)
def test_the_only_way_is_found(program: Program, running: int, expected: list[int]) -> None:
    assert search(program, call(150, 200), running) == expected


def test_a_long_way_ends() -> None:
    program: Program = {at: ([tail(at + 50, at + 100)], True) for at in range(200, 100_000, 100)}
    assert search(program, call(150, 200), 100_000) == []
    assert search(program, call(150, 200), 500) == [250, 350, 450]


def test_a_call_is_found_by_where_it_returns_to() -> None:
    sites = [call(150, 200), tail(160, 300)]
    assert find_call(lambda _: (sites, True), 150) == sites[0]
    assert find_call(lambda _: (sites, True), 160) is None
    assert find_call(lambda _: (sites, True), 0) is None
