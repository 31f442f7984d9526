"""Other processes: one that reads meanwhile, and one that is killed."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from calltrace_collector.errors import StoreError
from calltrace_collector.model.commit import Commit
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.unit.store.samples import chunk, process_info, progress, rows_of, thread_info, value_of

COMMITS = 60

READING = """
import sys
from calltrace_collector.store.reader import Reader

with Reader(sys.argv[1]) as reader:
    seen = 0
    while seen < int(sys.argv[2]):
        (process,) = reader.processes()
        heads = reader.chunk_heads(process.id, 0)
        chunks = list(reader.chunks(heads))
        # A commit is one chunk of 100 calls and the sums that go with it: never one without the other.
        assert seen <= process.sequence <= len(heads) == len(chunks), (seen, process.sequence, len(heads))
        assert process.calls == 100 * process.sequence
        assert [one.columns() for one in chunks] == [b"columns of 0/%d" % n for n in range(len(chunks))]
        seen = process.sequence
        print(seen, flush=True)
"""

WRITING = """
import sys
from calltrace_collector.model.commit import Commit
from calltrace_collector.store.writer import Writer
from tests.unit.store.samples import chunk, process_info, progress, thread_info

with Writer(sys.argv[1]) as writer:
    process = writer.open_process(process_info()).process
    number = 0
    while True:
        step = progress(calls=100 * (number + 1))
        commit = Commit(process, number + 1, [thread_info()], chunks=[chunk(number)], progress=[step])
        writer.commit([commit])
        number += 1
        print(number, flush=True)
"""


def run(program: str, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", program, *arguments]
    root = Path(__file__).parents[3]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root)


def test_reader_sees_whole_commits_while_they_are_written(writer: Writer, path: Path) -> None:
    process = writer.open_process(process_info()).process
    with run(READING, str(path), str(COMMITS)) as reading:
        assert reading.stdout is not None
        assert reading.stdout.readline() == "0\n"
        for number in range(COMMITS):
            step = progress(calls=100 * (number + 1))
            commit = Commit(process, number + 1, [thread_info()], chunks=[chunk(number)], progress=[step])
            writer.commit([commit])
            if number == COMMITS // 2:
                # Not at the end yet, so it has to read while the rest is written.
                assert reading.poll() is None
        output, errors = reading.communicate(timeout=60)
    assert errors == ""
    assert output.splitlines()[-1] == str(COMMITS)


def test_what_was_acknowledged_survives_sigkill(path: Path) -> None:
    with run(WRITING, str(path)) as writing:
        assert writing.stdout is not None
        for line in writing.stdout:
            if int(line) >= 20:
                writing.send_signal(signal.SIGKILL)
                break
        # All that it said before it died.
        acknowledged = max([20, *(int(line) for line in writing.stdout)])
    assert writing.returncode == -signal.SIGKILL
    (sequence, calls), (chunks,) = (
        *rows_of(path, "SELECT sequence, calls FROM process"),
        *rows_of(path, "SELECT count(*) FROM chunk"),
    )
    assert acknowledged <= sequence <= acknowledged + 1
    assert (calls, chunks) == (100 * sequence, sequence)
    assert value_of(path, "PRAGMA integrity_check") == "ok"
    with Writer(str(path)) as writer, Reader(str(path)) as reader:
        saved = writer.open_process(process_info())
        assert saved.sequence == sequence
        writer.commit([Commit(saved.process, sequence + 1, chunks=[chunk(sequence)])])
        assert len(reader.chunk_heads(saved.process, 0)) == sequence + 1


def test_file_that_may_not_grow(writer: Writer, path: Path) -> None:
    """The system refuses to write more, in the middle of a commit: a full disk, seen from another side."""
    process = writer.open_process(process_info()).process
    writer.commit([Commit(process, 1, chunks=[chunk(0)])])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(file.stat().st_size for file in path.parent.iterdir())
    big = Commit(process, 2, chunks=[chunk(1, columns=bytes(1_000_000)), chunk(2)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 100_000, hard))
    try:
        with pytest.raises(
            StoreError, match=r"cannot write to .*: disk I/O error; is the disk full or broken\?"
        ):
            writer.commit([big])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert rows_of(path, "SELECT number FROM chunk") == [(0,)]
    writer.commit([big])
    assert rows_of(path, "SELECT number FROM chunk ORDER BY 1") == [(0,), (1,), (2,)]
    assert value_of(path, "PRAGMA integrity_check") == "ok"
