"""Whichever allocation fails, the core changes nothing, and carries on when there is memory again."""

import struct
import subprocess
from pathlib import Path

from calltrace_collector.core import Limits
from tests.support.compile import ROOT, compile_c
from tests.unit.core.test_large import random_program
from tests.unit.core.world import THREADS, Action, World

CORE = ROOT / "calltrace_collector" / "core"
FLAGS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WRAPPED = ("malloc", "calloc", "realloc", "aligned_alloc", "free")


def batches() -> bytes:
    """Batches of everything, for three threads; see faults.c."""
    world = World(Limits())
    actions: list[Action] = random_program(seed=9, events=1500)
    for start in range(0, len(actions), 100):
        actions[start] = ("thread", start // 100, 0)
    actions = [
        act
        for at, action in enumerate(actions)
        for act in (action, ("capture", at % 10, at))[: 1 + (at > 700)]
    ]
    calls: list[Action] = [("enter", callee, 70_000) for callee in range(200, 300)]
    actions += [
        ("dive", 9, 3),
        ("cut", 1, 0),
        ("abandon", 5, 0),
        ("drop", 3, 0),
        ("move", 3, 9),
        ("capture", 8, 0),
        ("rise", 20, 7),
    ]
    actions += [act for call in calls for act in (call, ("exit", 0, 2**33))]
    data = b""
    for start in range(0, len(actions), 40):
        world.act(
            [action for action in actions[start : start + 40] if action[0] not in {"send", "flush", "clean"}]
        )
        for thread in range(THREADS):
            batch = world.batch(thread)
            world.twin.feed(batch)
            data += struct.pack("<H", batch.ByteSize()) + batch.SerializeToString()
    return data


def test_every_allocation_may_fail(tmp_path: Path) -> None:
    sources = [Path("tests/unit/core/faults.c")]
    sources += [path.relative_to(ROOT) for path in CORE.glob("*.c") if path.name != "recovery.c"]
    wrap = [f"-Wl,--wrap={name}" for name in WRAPPED]
    program = compile_c(sources, tmp_path / "faults", (*FLAGS, *wrap))
    (tmp_path / "batches").write_bytes(batches())
    done = subprocess.run(
        [program, tmp_path / "batches"], capture_output=True, text=True, check=False, timeout=100
    )
    assert (done.returncode, done.stderr) == (0, "")
    failed, folded = map(int, done.stdout.split())
    assert failed > 200
    assert 0 < folded < failed / 2
