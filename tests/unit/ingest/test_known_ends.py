"""Who is believed about the end of a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from calltrace_collector.errors import ProtocolError
from calltrace_collector.ingest import ending
from calltrace_collector.ingest.vital_signs import Life
from calltrace_collector.model.process import ProcessInfo, ProcessState
from tests.support.collector import wait_until
from tests.support.crash_files import leave_crash
from tests.support.crash_samples import crash_message
from tests.unit.ingest.collectors import Collector


@pytest.mark.parametrize(
    ("changes", "wait_status", "end"),
    [
        ({}, None, (ProcessState.CRASHED, None, 11)),
        ({"handled": True}, None, (ProcessState.KILLED, None, None)),
        ({"handled": True}, 3 << 8, (ProcessState.EXITED, 3, None)),
        ({"handled": True}, 6, (ProcessState.CRASHED, None, 6)),
        ({}, 9, (ProcessState.KILLED, None, 9)),
        ({}, 0x80 | 11, (ProcessState.CRASHED, None, 11)),
    ],
)
def test_how_a_crashed_process_ended(
    collector: Collector,
    info: ProcessInfo,
    changes: dict[str, bool],
    wait_status: int | None,
    end: tuple[ProcessState, int | None, int | None],
) -> None:
    leave_crash(Path(info.session_directory), crash_message(**changes))
    if wait_status is not None:
        collector.registry.ends.tell_wait_status((info.pid, info.start_time_jiffies), wait_status)
    assert collector.registry.end_if_over(collector.open(info))
    found = collector.end().end
    assert found is not None
    assert (found.state, found.exit_code, found.signal) == end


@pytest.mark.parametrize(
    ("crashed", "wait_status", "end"),
    [
        (False, None, (ProcessState.EXECED, None)),
        (False, 9, (ProcessState.KILLED, 9)),
        (True, None, (ProcessState.CRASHED, 11)),
        (True, 9, (ProcessState.KILLED, 9)),
    ],
)
def test_that_a_process_lives_on_is_believed_last(
    collector: Collector,
    info: ProcessInfo,
    monkeypatch: pytest.MonkeyPatch,
    *,
    crashed: bool,
    wait_status: int | None,
    end: tuple[ProcessState, int | None],
) -> None:
    monkeypatch.setattr(ending, "life_of", lambda *_: Life.LIVES)
    if crashed:
        leave_crash(Path(info.session_directory), crash_message())
    if wait_status is not None:
        collector.registry.ends.tell_wait_status((info.pid, info.start_time_jiffies), wait_status)
    opened = collector.open(info)
    assert not collector.registry.end_if_over(opened)
    wait_until(lambda: collector.registry.end_if_over(opened), "two looks")
    found = collector.end().end
    assert found is not None
    assert (found.state, found.signal) == end


@pytest.mark.parametrize("status", [0x7F, 0x137F, 0xFFFF, 1 << 16, (1 << 32) - 1])
def test_what_is_no_end_of_a_process_is_refused(collector: Collector, status: int) -> None:
    with pytest.raises(ProtocolError, match="no status"):
        collector.registry.ends.tell_wait_status((1, 1), status)
