"""What is left of a crash, whole and damaged."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calltrace_collector import wire
from calltrace_collector.ingest.crash_file import NO_FILE, read_left_crash
from calltrace_collector.ingest.directory import SessionDirectory
from calltrace_collector.model.crash import CrashRecord, MemoryRange, UncaughtException
from tests.support.crash_files import FILLED, FILLING, WRITTEN, file_bytes, leave_crash
from tests.support.crash_samples import crash_message, crash_record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "1234-abc"
    path.mkdir(mode=0o700)
    (path / "session").write_bytes(bytes(4096))
    return path


def read(folder: Path) -> tuple[CrashRecord | None, list[str]]:
    said: list[str] = []
    with SessionDirectory(folder) as directory:
        return read_left_crash(directory, said.append), said


@pytest.mark.parametrize("state", [0, FILLING, 4, 0xFFFF_FFFF])
def test_no_crash(folder: Path, state: int) -> None:
    assert read(folder) == (None, [])
    leave_crash(folder, crash_message(), state=state)
    assert read(folder) == (None, [])


@pytest.mark.parametrize("state", [FILLED, WRITTEN])
def test_the_file(folder: Path, state: int) -> None:
    message = crash_message(maps="m", abort_message="a", memory_cut=True, error_number=-3, sender_pid=5)
    leave_crash(folder, message, state=state)
    assert read(folder) == (
        crash_record(
            maps="m",
            abort_message="a",
            memory_cut=True,
            error_number=-3,
            sender_pid=5,
            memory=(MemoryRange(0x1007, b"stack"),),
            encoded=message.SerializeToString(),
        ),
        [],
    )


def test_the_slot_alone(folder: Path) -> None:
    exception = wire.UncaughtException(type_name="St13runtime_error", has_what=True, what="no luck")
    message = crash_message(
        thread=7,
        tid=8,
        thread_name="fifteen letters",
        signal=6,
        code=-6,
        error_number=-9,
        sender_pid=10,
        sender_user_id=11,
        trap_number=12,
        trap_error=13,
        handled=True,
        exception=exception,
    )
    leave_crash(folder, message, with_file=False)
    record, said = read(folder)
    assert record is not None
    assert said == []
    assert replace(record, encoded=b"") == crash_record(
        thread=7,
        tid=8,
        thread_name="fifteen letters",
        signal=6,
        code=-6,
        error_number=-9,
        sender_pid=10,
        sender_user_id=11,
        trap_number=12,
        trap_error=13,
        handled=True,
        exception=UncaughtException("St13runtime_error", "no luck"),
        incomplete=NO_FILE,
        encoded=b"",
    )
    assert wire.Crash.FromString(record.encoded).incomplete == NO_FILE


def test_a_slot_without_thread_and_exception(folder: Path) -> None:
    message = crash_message(has_thread=False, thread=9)
    message.registers.fxsave = b""
    leave_crash(folder, message, with_file=False)
    record, _ = read(folder)
    assert record is not None
    assert (record.thread, record.exception, record.fxsave) == (None, None, b"")


def test_what_is_no_utf8_is_replaced(folder: Path) -> None:
    leave_crash(folder, crash_message(thread_name="worker"), with_file=False)
    session = (folder / "session").read_bytes()
    (folder / "session").write_bytes(session.replace(b"worker", b"wor\xffer"))
    record, _ = read(folder)
    assert record is not None
    assert record.thread_name == "wor\ufffder"


def test_another_crashs_file_is_passed_over(folder: Path) -> None:
    leave_crash(folder, crash_message())
    (folder / "crash").write_bytes(file_bytes(crash_message(signal=7).SerializeToString(), number=2))
    record, said = read(folder)
    assert record is not None
    assert (record.signal, record.incomplete, said) == (11, NO_FILE, [])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"x" * 31, "cut off"),
        (b"x" * 100, "is none"),
        (file_bytes(b"message")[:-1], "has 6 bytes where it says 7"),
        (file_bytes(b"message") + b"s", "has 8 bytes where it says 7"),
        (file_bytes(b"message").replace(b"message", b"massage"), "is damaged"),
        (file_bytes(b"message", number=3).replace(b"\3", b"\1", 1), "is damaged"),
        (file_bytes(b"")[:8] + b"\2" + file_bytes(b"")[9:], "has version 2, this collector reads 1"),
        (file_bytes(b"\xff"), "no Crash message"),
        (file_bytes(crash_message(signal=0).SerializeToString()), "the signal 0"),
        (file_bytes(crash_message(signal=65).SerializeToString()), "the signal 65"),
        (file_bytes(crash_message(tid=1 << 23).SerializeToString()), "the thread id 8388608"),
        (
            file_bytes(crash_message(registers=wire.Registers(general=[1])).SerializeToString()),
            "1 registers",
        ),
        (
            file_bytes(crash_message(registers=wire.Registers(fxsave=b"1")).SerializeToString()),
            "1 bytes of FXSAVE",
        ),
        (
            file_bytes(crash_message(clock=wire.Clock(ticks=1 << 63)).SerializeToString()),
            "a clock beyond its range",
        ),
        (
            file_bytes(
                crash_message(
                    memory=[
                        wire.MemoryRange(address=10, content=b"12"),
                        wire.MemoryRange(address=11, content=b"1"),
                    ]
                ).SerializeToString()
            ),
            "overlap",
        ),
        (
            file_bytes(
                crash_message(
                    memory=[wire.MemoryRange(address=(1 << 64) - 1, content=b"12")]
                ).SerializeToString()
            ),
            "beyond the end of the address space",
        ),
        (
            file_bytes(crash_message(memory=[wire.MemoryRange()] * 5000).SerializeToString()),
            "5000 parts of memory",
        ),
    ],
)
def test_a_damaged_file_leaves_the_slot(folder: Path, content: bytes, words: str) -> None:
    leave_crash(folder, crash_message(), with_file=False)
    (folder / "crash").write_bytes(content)
    record, said = read(folder)
    assert record is not None
    (line,) = said
    assert words in line
    assert record.incomplete == line
    assert (record.signal, record.memory) == (11, ())


def test_a_link_a_pipe_and_a_folder_are_no_files(folder: Path) -> None:
    leave_crash(folder, crash_message(), with_file=False)
    (folder / "elsewhere").write_bytes(file_bytes(crash_message().SerializeToString()))
    crash = folder / "crash"
    crash.symlink_to(folder / "elsewhere")
    assert_refused(folder)
    crash.unlink()
    os.mkfifo(crash)
    assert_refused(folder)
    crash.unlink()
    crash.mkdir()
    assert_refused(folder)


def assert_refused(folder: Path) -> None:
    record, said = read(folder)
    assert record is not None
    assert record.memory == ()
    assert len(said) == 1


def test_a_huge_file_is_refused(folder: Path) -> None:
    leave_crash(folder, crash_message(), with_file=False)
    with (folder / "crash").open("wb") as file:
        file.truncate(1 << 40)
    record, said = read(folder)
    assert record is not None
    assert "larger than any agent makes it" in said[0]


def test_a_damaged_slot_without_a_file(folder: Path) -> None:
    leave_crash(folder, crash_message(signal=99), with_file=False)
    record, said = read(folder)
    assert record is None
    assert said == ["the record of the crash has the signal 99"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=2112))
def test_nothing_comes_but_a_record_or_a_word(folder: Path, file: bytes, slot: bytes) -> None:
    leave_crash(folder, crash_message(), with_file=False)
    session = (folder / "session").read_bytes()
    place = (64 << 10) - 2 * 4096
    # Behind the state and the number, or the slot would hardly ever be looked at.
    (folder / "session").write_bytes(session[: place + 8] + slot + session[place + 8 + len(slot) :])
    (folder / "crash").write_bytes(file_bytes(file))
    record, said = read(folder)
    assert record is not None or said
