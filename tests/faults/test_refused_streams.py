"""A program whose stream is refused for good says so once, waits no more, and ends as it would untraced."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import grpc
import pytest

from tests.support.collector import Collector, wait_until
from tests.support.fake_collector import FakeCollector, serving, welcome
from tests.support.tally import Tallied

SMALL = {"CALLTRACE_OUTBOX_LIMIT": "8M"}
MORE_THAN_FITS = 2_000_000


class Refusing(FakeCollector):
    """A server that ends every stream with a status, after a welcome or before."""

    def __init__(self, code: grpc.StatusCode, *, after_welcome: bool) -> None:
        self.code = code
        self.after_welcome = after_welcome
        self.streams = 0

    def trace(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        self.streams += 1
        next(messages)
        if self.after_welcome:
            yield welcome()
            next(messages)
        context.abort(self.code, "go\naway \x1b[31m")


@pytest.mark.parametrize(
    ("code", "after_welcome"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, False),
        (grpc.StatusCode.INVALID_ARGUMENT, True),
        (grpc.StatusCode.PERMISSION_DENIED, False),
        (grpc.StatusCode.UNAUTHENTICATED, False),
        (grpc.StatusCode.UNIMPLEMENTED, True),
    ],
)
def test_a_refused_program_says_so_once_and_goes_on(
    collector: Collector, tally: Path, tmp_path: Path, code: grpc.StatusCode, *, after_welcome: bool
) -> None:
    handler, socket = Refusing(code, after_welcome=after_welcome), collector.folder / "refusing.sock"
    with serving(handler, socket):
        program = Tallied(
            collector,
            tally,
            tmp_path / "tally",
            MORE_THAN_FITS,
            2,
            CALLTRACE_SOCKET=str(socket),
            **SMALL,
        )
        assert program.wait() == 0
    assert program.errors == (
        "calltrace: the collector refused the trace: go?away ?[31m: "
        "not all of this program's calls are recorded\n"
    )
    assert handler.streams == 1


def test_a_refusal_that_may_pass_is_not_taken_for_an_answer(tally: Path, tmp_path: Path) -> None:
    with Collector() as collector:
        collector.stop()
        handler = Refusing(grpc.StatusCode.UNAVAILABLE, after_welcome=False)
        with serving(handler, collector.socket):
            program = Tallied(collector, tally, tmp_path / "tally", 0, 1, "stop", **SMALL)
            wait_until(lambda: handler.streams >= 4, "the agent to try again")
        collector.start()
        program.wait_for(MORE_THAN_FITS)
        program.process.terminate()
        assert (program.wait(), program.errors) == (0, "")
        program.wait_for_end()
        program.check_complete()


def test_a_collector_that_has_lost_what_it_had_stored_is_given_up(tally: Path, tmp_path: Path) -> None:
    with Collector() as collector:
        program = Tallied(collector, tally, tmp_path / "tally", 0, 2, "stop", **SMALL)
        wait_until(lambda: stored_messages(collector) > 100, "messages to be stored")
        collector.kill()
        for file in collector.folder.glob("calls.db*"):
            file.unlink()
        collector.start()
        program.wait_for(program.calls() + MORE_THAN_FITS)
        program.process.terminate()
        assert program.wait() == 0
        assert "no longer has what it had stored" in program.errors
        assert program.errors.count("\n") == 1


def stored_messages(collector: Collector) -> int:
    with closing(sqlite3.connect(collector.database)) as database:
        row = database.execute("select sum(sequence) from process").fetchone()
    return int(row[0] or 0)
