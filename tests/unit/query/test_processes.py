"""The process that is meant."""

import pytest

from calltrace_collector.errors import NotFoundError, UsageError
from calltrace_collector.model.process import ClockReading
from calltrace_collector.query.processes import choose
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.support.synthetic import Synthetic, function


def begun(writer: Writer, pid: int, at_s: int) -> int:
    """A process that began so many seconds after another."""
    clock = ClockReading(at_s, at_s, at_s * 10**9)
    return Synthetic(writer, [function("f")], session=f"{pid} {at_s}", pid=pid, clock=clock).process


def test_the_newest_is_meant(writer: Writer, reader: Reader) -> None:
    begun(writer, 10, 5)
    newest = begun(writer, 11, 9)
    begun(writer, 12, 7)
    chosen = choose(reader)
    assert (chosen.process.id, chosen.others) == (newest, ())


def test_by_pid_the_newest_that_had_it(writer: Writer, reader: Reader) -> None:
    old, newest, older = (begun(writer, 10, at_s) for at_s in (5, 9, 3))
    begun(writer, 11, 20)
    chosen = choose(reader, pid=10)
    assert chosen.process.id == newest
    assert [other.id for other in chosen.others] == [old, older]


def test_by_id_that_one(writer: Writer, reader: Reader) -> None:
    old = begun(writer, 10, 5)
    begun(writer, 10, 9)
    assert choose(reader, process=old).process.id == old


def test_messages_name_what_is_there(writer: Writer, reader: Reader) -> None:
    with pytest.raises(NotFoundError, match=r"no process is stored in /.*: record one with calltrace record"):
        choose(reader)
    for at_s in range(7):
        begun(writer, 10 + at_s, at_s)
    with pytest.raises(
        NotFoundError, match=r"pid 99 is stored; the newest are 16 \(prog\), 15 .* 12 \(prog\) "
    ):
        choose(reader, pid=99)
    with pytest.raises(NotFoundError, match=r"id 99 is stored; the newest are 7 \(prog\), "):
        choose(reader, process=99)


def test_by_pid_and_id(reader: Reader) -> None:
    with pytest.raises(UsageError):
        choose(reader, process=1, pid=2)
