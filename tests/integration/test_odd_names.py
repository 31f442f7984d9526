"""Names that are no UTF-8: of the program, its folder, its arguments, its threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.collector import Collector


@pytest.mark.parametrize(
    "name",
    [b"caf\xe9", b"folder-\xff/program", "a-name-cut-off-\u00e9".encode(), b"ordinary"],
    ids=["program", "folder", "cut in the middle of a character", "ordinary"],
)
def test_no_name_costs_a_call(
    collector: Collector, build: Callable[..., Path], tmp_path: Path, name: bytes
) -> None:
    program = os.fsencode(tmp_path) + b"/" + name
    os.makedirs(os.path.dirname(program), exist_ok=True)  # noqa: PTH103, PTH120 bytes are no Path
    built = build("odd_names.c", "-O0", "-finstrument-functions", "-pthread")
    os.link(built, program)
    pid, _ = collector.run(os.fsdecode(program), os.fsdecode(b"argument \xfe"))
    process = collector.process(pid)
    assert (process["calls"], process["lost_events"], process["threads"]) == (3, 0, 2)
    assert process["argv"][1] == "argument ?"
    names = {thread["name"] for thread in collector.threads(pid)}
    assert names == {"m?in", "thr?ad"}
