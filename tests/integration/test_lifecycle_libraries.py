"""Code that comes and goes: libraries loaded by turns at the same address, and code around main."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.test_shape import logged, traced
from tests.support.collector import Collector

ROUNDS = 200
PROGRAM = ("-O1", "-finstrument-functions", "-pthread")
PLUGIN = ("-O1", "-finstrument-functions", "-shared", "-fPIC")
CALLS = {"red": 15 + 3 + 5, "blue": 25 + 3 + 5}
"""Of inner(5) or inner(6), of the constructor's inner(2) and of the destructor's inner(3)."""


@pytest.fixture
def plugins(build: Callable[..., Path]) -> tuple[Path, ...]:
    """Two libraries of the same size, whose functions have other names."""
    return tuple(build("plugin.c", *PLUGIN, f"-DNAME={name}") for name in CALLS)


def test_calls_have_the_names_of_the_library_that_was_there(
    collector: Collector, build: Callable[..., Path], plugins: tuple[Path, ...]
) -> None:
    program = build("plugins.c", *PROGRAM)
    pid, same_addresses = collector.run(program, str(ROUNDS), *plugins)
    # If they had not lain at the same address, there would be nothing to see here.
    assert int(same_addresses) == ROUNDS

    calls = {function["function"]: function["calls"] for function in collector.report(pid)}
    expected = {"call": 2 * ROUNDS}
    for name, inner in CALLS.items():
        expected |= {f"{name}_inner": inner * ROUNDS, f"{name}_begin": ROUNDS, f"{name}_end": ROUNDS}
    assert calls == expected
    assert collector.process(pid)["lost_events"] == 0


def test_no_call_has_another_librarys_name_when_threads_load_and_unload_at_once(
    collector: Collector, build: Callable[..., Path], plugins: tuple[Path, ...]
) -> None:
    threads = 3
    pid, _ = collector.run(build("plugins.c", *PROGRAM), str(ROUNDS // 2), *plugins, str(threads))
    calls = collector.calls(pid)
    # The library's name, as the size of the tree below a call of inner() by plugin_run() tells it.
    names = dict(zip((15, 25), CALLS, strict=True))
    sizes: Counter[int] = Counter()
    for call in reversed(calls):
        sizes[call["call"]] += 1
        sizes[call["parent"]] += sizes[call["call"]]
    runs = [call for call in calls if call["depth"] == 1 and sizes[call["call"]] in names]
    assert len(runs) == ROUNDS * threads
    named = [call for call in runs if not call["function"].startswith("0x")]
    assert all(call["function"] == f"{names[sizes[call['call']]]}_inner" for call in named)
    # Where one took the other's place at the moment that it went, nobody can know; that is rare even here.
    assert len(named) >= 0.8 * len(runs)


def test_what_loads_and_unloads_a_library_is_the_caller_of_its_constructors(
    collector: Collector, build: Callable[..., Path], plugins: tuple[Path, ...]
) -> None:
    pid, _ = collector.run(build("plugins.c", *PROGRAM), "3", *plugins)
    calls = collector.calls(pid)
    names = {call["call"]: call["function"] for call in calls}
    modules = {call["function"]: Path(call["module"]).name for call in calls}
    parents = Counter((names.get(call["parent"]), call["function"]) for call in calls if call["depth"] < 2)
    expected: Counter[tuple[str | None, str]] = Counter({(None, "call"): 6})
    for name in CALLS:
        expected += Counter({("call", f"{name}_{part}"): 3 for part in ("begin", "inner", "end")})
    assert parents == expected
    for name, plugin in zip(CALLS, plugins, strict=True):
        assert modules[f"{name}_inner"] == plugin.name


def test_calls_around_main(collector: Collector, build: Callable[..., Path], tmp_path: Path) -> None:
    program = collector.spawn(
        build("outside.c", "-O0", "-finstrument-functions"), SHAPE_LOG=str(tmp_path / "log")
    )
    assert program.wait() == 5
    program.communicate()
    end = collector.wait_for_end(program.pid)
    calls = collector.calls(program.pid)
    expected = logged(tmp_path / "log")
    assert [sum(function == name for function, _ in expected[program.pid]) for name in OUTSIDE] == [1] * len(
        OUTSIDE
    )
    assert traced(calls) == expected
    assert (end["state"], end["exit_code"], end["calls"]) == ("exited", 5, len(calls))


OUTSIDE = (
    *("first_constructor", "second_constructor", "registered_first", "registered_last", "with_status"),
    *("first_destructor", "last_destructor", "main"),
)
