"""What other tracers' hooks cost the same programs, and how many bytes a call takes on their disk.

A tracer that is not installed gets a line that says so. Their settings are their defaults, but they record
functions only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import median

from bench import hook_cost
from bench.hook_cost import SUBJECTS, Subject
from bench.lttng import Lttng
from bench.measurement import Bench, Measurement
from bench.peer import Peer
from bench.program import Run
from bench.result import Result
from bench.uftrace import Uftrace

PEERS: tuple[Peer, ...] = (Uftrace(), Lttng())


@cache
def _installed() -> tuple[Peer, ...]:
    return tuple(peer for peer in PEERS if not peer.missing())


@dataclass
class _Recorder:
    """Runs programs under a peer, each into a folder of its own that is measured and removed."""

    peer: Peer
    bytes_per_call: list[float] = field(default_factory=list)
    notes: set[str] = field(default_factory=set)

    def __call__(self, command: list[str | int]) -> Run:
        with tempfile.TemporaryDirectory(prefix="ct-bench-") as parent:
            folder = Path(parent) / "recording"
            with self.peer.recording(folder) as recording:
                run = recording.run(command)
            size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        self.bytes_per_call.append(size / run.calls)
        self.notes |= {recording.note} - {""}
        return run


def measure(bench: Bench) -> list[Result]:
    results = [
        Result(peer.name, "", None, "", note=f"{missing}; skipped")
        for peer in PEERS
        if (missing := peer.missing())
    ]
    if _installed():
        for subject in SUBJECTS:
            results.extend(_compare(bench, subject, _installed()))
    return sorted(results, key=lambda result: result.what)


def _compare(bench: Bench, subject: Subject, peers: Sequence[Peer]) -> list[Result]:
    recorders = {peer.name: _Recorder(peer) for peer in peers}
    noop = {"no-op": hook_cost.preloaded(bench, "noop")}
    times = hook_cost.interleaved(bench, subject, noop | recorders)
    results = []
    for name, recorder in recorders.items():
        note = "; ".join(sorted(recorder.notes))
        cost = median(times[name]) - median(times["no-op"])
        results.append(Result(hook_cost.WHAT, f"{subject.name}, {name}", cost, "ns", note=note))
        size = median(recorder.bytes_per_call)
        results.append(Result("size on disk per call", f"{subject.name}, {name}", size, "bytes"))
    return results


def steps(bench: Bench) -> int:
    if not _installed():
        return 0
    return len(SUBJECTS) * hook_cost.rounds(bench) * (1 + len(_installed()))


MEASUREMENT = Measurement("peers", steps, measure)
