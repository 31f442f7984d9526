"""A forked process goes on within the calls of its parent: every call has its callers, in whichever trace.

The oracle is the program's own log: each call with the path of functions that leads to it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.collector import Collector


@pytest.mark.parametrize("optimisation", ["-O0", "-O2"])
def test_every_call_has_its_callers(
    collector: Collector, build: Callable[..., Path], tmp_path: Path, optimisation: str
) -> None:
    log = tmp_path / "log"
    collector.run(build("forks.c", optimisation, "-finstrument-functions", "-pthread"), log)
    wanted: dict[int, list[str]] = defaultdict(list)
    for line in log.read_text().splitlines():
        pid, names = line.split()
        wanted[int(pid)].append(names)
    for number in wanted:
        collector.wait_for_end(number)
    processes = [process for process in collector.processes() if process["pid"] in wanted]
    assert {process["pid"] for process in processes} == set(wanted)

    calls = {process["process"]: collector.calls(process["pid"]) for process in processes}
    by_number = {each: {call["call"]: call for call in of} for each, of in calls.items()}

    def path(call: dict[str, Any]) -> str:
        caller = ""
        if "inherited_parent" in call:
            parent = call["inherited_parent"]
            caller = path(by_number[parent["process"]][parent["call"]])
        elif call["parent"] is not None:
            caller = path(by_number[call["process"]][call["parent"]])
        return f"{caller}/{call['function']}"

    for process in processes:
        found = Counter(path(call) for call in calls[process["process"]])
        assert found == Counter(wanted[process["pid"]]), process


def test_the_tree_shows_what_was_inherited(
    collector: Collector, build: Callable[..., Path], tmp_path: Path
) -> None:
    pid, _ = collector.run(build("forks.c", "-O0", "-finstrument-functions", "-pthread"), tmp_path / "log")
    process = collector.process(pid)["process"]
    children = [each for each in collector.processes() if each["parent"] == process]
    child = min(children, key=lambda each: each["process"])
    collector.wait_for_end(child["pid"])
    done = collector.ask("query", "--process", str(child["process"]))
    lines = [line[13:] for line in done.stdout.splitlines()[3:]]
    mark = f"  [began in process {process}, which forked this one]"
    inherited = ["run", *["descend"] * 6, "fork_here"]
    assert lines[: len(inherited)] == ["  " * depth + name + mark for depth, name in enumerate(inherited)]
    # It returns from all of them: leaf() at the end of each descend(), then bystander() beneath run().
    assert "without an entry" not in done.stdout
    assert "  bystander" in lines
