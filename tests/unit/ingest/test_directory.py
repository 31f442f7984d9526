"""Session directories, whole and damaged, as agents and attackers leave them."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calltrace_collector.errors import ProtocolError
from calltrace_collector.ingest.directory import (
    SessionDirectory,
    check_session_path,
    session_directories,
)
from tests.unit.ingest.left_files import RING_WORDS, ring, segment, session_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "1234-abc"
    path.mkdir(mode=0o700)
    (path / "session").write_bytes(session_file())
    return path


def test_the_header_is_read(folder: Path) -> None:
    with SessionDirectory(folder) as directory:
        header = directory.header()
    assert (header.pid, header.start_time_jiffies, header.process) == (1234, 99, b"process")
    assert (header.socket_path, header.exit_code) == ("/run/c.sock", None)


def test_an_exit_is_read(folder: Path) -> None:
    (folder / "session").write_bytes(session_file(state=1))
    with SessionDirectory(folder) as directory:
        header = directory.header()
    assert (header.exit_code, header.ended_ticks, header.ended_realtime_ns) == (7, 11, 13)


def test_rings_come_by_thread_and_free_ones_not_at_all(folder: Path) -> None:
    (folder / "ring.0").write_bytes(ring(thread=2, head=12, tail=8))
    (folder / "ring.1").write_bytes(ring(thread=1, head=4, tail=4, state=2))
    (folder / "ring.2").write_bytes(ring(thread=0, head=4, tail=0, state=0))
    with SessionDirectory(folder) as directory:
        tails = [directory.ring(name) for _, name in directory.rings()]
    assert [(t.thread, t.head, t.tail, t.ended_ticks) for t in tails] == [(1, 4, 4, 6), (2, 12, 8, 0)]
    assert (tails[0].name, tails[0].tid, tails[0].stack_base) == ("name", 77, 4096)


def test_whoever_made_it_holds_it(folder: Path) -> None:
    with SessionDirectory(folder) as directory:
        assert not directory.is_held()
        with (folder / "session").open("r+b") as file:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
            assert directory.is_held()
            assert not directory.claim()
        assert directory.claim()
        with SessionDirectory(folder) as other:
            assert not other.claim()


def test_what_another_collector_has_dealt_with_cannot_be_claimed(folder: Path) -> None:
    for deal_with in (SessionDirectory.keep, SessionDirectory.remove):
        with SessionDirectory(folder) as late:
            with SessionDirectory(folder) as early:
                assert early.claim()
                deal_with(early)
            assert not late.claim()
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "session").write_bytes(session_file())
        with SessionDirectory(folder) as another:
            assert another.claim()


def test_removing_takes_what_agents_make_and_nothing_else(folder: Path) -> None:
    (folder / "ring.0").write_bytes(ring(0, 0, 0))
    with SessionDirectory(folder) as directory:
        directory.remove()
    assert not folder.exists()


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_device(path: Path) -> None:
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))


def make_socket(path: Path) -> None:
    os.mknod(path, 0o600 | stat.S_IFSOCK)


def make_link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))
    path.with_name("elsewhere").write_bytes(session_file())


def make_hard_link(path: Path) -> None:
    path.with_name("elsewhere").write_bytes(session_file())
    path.hardlink_to(path.with_name("elsewhere"))


def make_folder(path: Path) -> None:
    path.mkdir()


def make_anothers_file(path: Path) -> None:
    path.write_bytes(session_file())
    os.chown(path, 65534, 65534)


NO_FILES = [make_fifo, make_socket, make_link, make_hard_link, make_folder]
NO_FILES += [make_device, make_anothers_file] if os.geteuid() == 0 else []


@pytest.mark.parametrize("make", NO_FILES)
def test_what_is_no_file_of_this_user_is_refused_and_never_waited_for(
    folder: Path, make: Callable[[Path], None]
) -> None:
    for name in ("ring.0", "outbox", "crash"):
        make(folder / name)
        with SessionDirectory(folder) as directory:
            assert directory.rings() == []
            with pytest.raises(ProtocolError, match=r"is not a file of this user's|is cut off"):
                directory.ring(name)
            with pytest.raises(ProtocolError, match="is not a file of this user's"):
                list(directory.messages(after=0)) if name == "outbox" else directory.file_bytes(name, 100)
        clear(folder)
    (folder / "session").unlink()
    make(folder / "session")
    with pytest.raises(ProtocolError, match="is not a file of this user's"):
        SessionDirectory(folder)


def clear(folder: Path) -> None:
    """Leaves the session file alone."""
    for entry in folder.iterdir():
        if entry.name != "session":
            entry.rmdir() if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def test_a_link_to_a_directory_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(OSError, match="link"):
        SessionDirectory(tmp_path / "link")
    parent = tmp_path / "parent"
    parent.symlink_to(tmp_path)
    with pytest.raises(ProtocolError, match="the one it is in"):
        SessionDirectory(parent / folder.name)


@pytest.mark.parametrize("mode", [0o777, 0o701, 0o740, 0o770])
def test_a_directory_that_others_can_look_into_is_refused(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(ProtocolError, match="others may look into"):
        SessionDirectory(folder)
    folder.chmod(0o700)
    folder.parent.chmod(mode)
    with pytest.raises(ProtocolError, match="others may look into"):
        SessionDirectory(folder)


def test_a_directory_of_another_user_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(ProtocolError, match="another user"):
        SessionDirectory(folder)


def test_files_of_any_size_are_read_as_far_as_they_make_sense(folder: Path) -> None:
    (folder / "outbox").write_bytes(segment(1, [b"a"]))
    os.truncate(folder / "outbox", 4 << 30)
    with SessionDirectory(folder) as directory:
        assert list(directory.messages(after=0)) == [(1, b"a")]
        os.truncate(folder / "outbox", (4 << 30) + 1)
        with pytest.raises(ProtocolError, match="larger than any agent makes it"):
            list(directory.messages(after=0))
        (folder / "ring.0").write_bytes(ring(0, 8, 0))
        os.truncate(folder / "ring.0", 4096 + 8 * RING_WORDS - 1)
        with pytest.raises(ProtocolError, match="cut off"):
            directory.ring("ring.0")


@pytest.mark.parametrize(
    "path",
    [
        "/etc",
        "calltrace-0/7-0001020304050607",
        "/dev/shm/calltrace-0/8-0001020304050607",
        "/dev/shm/calltrace-0/7-0001020304050608",
        "/dev/shm/calltrace-0/x/../7-0001020304050607",
        "/dev/shm/calltrace-0/../calltrace-0/7-0001020304050607",
        "/dev/shm/other/7-0001020304050607",
        "/dev/shm//calltrace-0/7-0001020304050607",
        "/dev/shm/calltrace-0/7-0001020304050607/",
        "/dev/shm/calltrace-0/7-0001020304050607\0",
        "/",
        "7-0001020304050607",
        ".",
    ],
)
def test_a_path_that_no_agent_gives_its_directory_is_refused(path: str) -> None:
    with pytest.raises(ProtocolError, match="not its own"):
        check_session_path(path, bytes(range(16)), 7)


def test_the_path_that_agents_give_their_directories_is_taken() -> None:
    check_session_path("/any/where/calltrace-1000/7-0001020304050607", bytes(range(16)), 7)


def test_only_directories_of_this_user_are_listed(tmp_path: Path) -> None:
    parent = tmp_path / f"calltrace-{os.geteuid()}"
    first, second = (f"{pid}-0123456789abcdef" for pid in (1, 2))
    (parent / second).mkdir(parents=True)
    (parent / first).mkdir()
    (parent / f"{first}.damaged").mkdir()
    (parent / "another").mkdir()
    (parent / "3-0123456789abcdef").touch()
    (parent / "4-0123456789abcdef").symlink_to(parent / first)
    assert [path.name for path in session_directories(tmp_path)] == [first, second]
    assert session_directories(tmp_path / "nothing") == []


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damage_anywhere_is_refused_or_read_never_worse(folder: Path, data: st.DataObject) -> None:
    files = {
        "session": session_file(),
        "outbox": segment(1, [b"a" * 100, b"b" * 50]),
        "ring.0": ring(0, 8, 2),
    }
    name = data.draw(st.sampled_from(sorted(files)))
    damaged = bytearray(files[name])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, min(len(damaged), 400) - 1))] = data.draw(st.integers(0, 255))
    files[name] = bytes(damaged[: data.draw(st.sampled_from([len(damaged), 100, 4096, 0]))])
    for file, content in files.items():
        (folder / file).write_bytes(content)
    try:
        with SessionDirectory(folder) as directory:
            directory.header()
            assert all(message in (b"a" * 100, b"b" * 50) for _, message in directory.messages(after=0))
            for _, name in directory.rings():
                directory.ring(name)
    except ProtocolError:
        pass
