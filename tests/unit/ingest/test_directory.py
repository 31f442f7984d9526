"""Session directories, whole and damaged, as agents and attackers leave them."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calltrace_collector.core.recovery import crc32c
from calltrace_collector.errors import ProtocolError
from calltrace_collector.ingest.directory import SessionDirectory, session_directories

SEGMENT_BYTES = 4 << 20
RING_WORDS = 8


def session_file(process: bytes = b"process", state: int = 0) -> bytes:
    header = struct.pack(
        "<QII16sQQIIQQQ112s",
        0x3153534543415254,
        1,
        1234,
        bytes(range(16)),
        99,
        len(process),
        state,
        7,
        11,
        12,
        13,
        b"/run/c.sock",
    )
    return header.ljust(4096, b"\0") + process


def frame(sequence: int, message: bytes) -> bytes:
    crc = crc32c(sequence.to_bytes(8, "little") + message)
    data = struct.pack("<IIQ", len(message), crc, sequence) + message
    return data + bytes(-len(data) % 8)


def segment(first: int, messages: list[bytes]) -> bytes:
    frames = b"".join(frame(first + i, message) for i, message in enumerate(messages))
    last = first + len(messages) - 1
    header = struct.pack("<QQQQ", 0x3147455354554F42, first, last, 64 + len(frames)).ljust(64, b"\0")
    return (header + frames).ljust(SEGMENT_BYTES, b"\0")


def ring(thread: int, head: int, tail: int, state: int = 1) -> bytes:
    header = struct.pack(
        "<QIIQIIQQQ16s", 0x31474E4952435254, 1, state, RING_WORDS, thread, 77, 5, 6, 4096, b"name"
    )
    header = header.ljust(128, b"\0") + struct.pack("<Q", head)
    header = header.ljust(192, b"\0") + struct.pack("<Q", tail)
    return header.ljust(4096, b"\0") + struct.pack(f"<{RING_WORDS}Q", *range(RING_WORDS))


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


def test_messages_come_in_order_from_wherever_their_segments_lie(folder: Path) -> None:
    later, earlier = segment(4, [b"d", b"e" * 1000]), segment(1, [b"a", b"", b"c"])
    (folder / "outbox").write_bytes(later + bytes(SEGMENT_BYTES) + earlier)
    with SessionDirectory(folder) as directory:
        assert list(directory.messages(after=0)) == [
            (1, b"a"),
            (2, b""),
            (3, b"c"),
            (4, b"d"),
            (5, b"e" * 1000),
        ]
        assert [sequence for sequence, _ in directory.messages(after=2)] == [3, 4, 5]


def test_a_damaged_message_is_not_believed(folder: Path) -> None:
    outbox = bytearray(segment(1, [b"first", b"second"]))
    outbox[outbox.index(b"second")] ^= 1
    (folder / "outbox").write_bytes(outbox)
    with SessionDirectory(folder) as directory:
        messages = directory.messages(after=0)
        assert next(messages) == (1, b"first")
        with pytest.raises(ProtocolError, match="message 2"):
            next(messages)


def test_rings_come_by_thread_and_free_ones_not_at_all(folder: Path) -> None:
    (folder / "ring.0").write_bytes(ring(thread=2, head=12, tail=8))
    (folder / "ring.1").write_bytes(ring(thread=1, head=4, tail=4, state=2))
    (folder / "ring.2").write_bytes(ring(thread=0, head=4, tail=0, state=0))
    with SessionDirectory(folder) as directory:
        tails = list(directory.ring_tails())
    assert [(t.thread, t.head, t.tail, t.ended_ticks) for t in tails] == [(1, 4, 4, 6), (2, 12, 8, 0)]
    assert (tails[0].name, tails[0].tid, tails[0].stack_base) == ("name", 77, 4096)


def test_a_ring_with_more_than_it_can_hold_is_refused(folder: Path) -> None:
    (folder / "ring.0").write_bytes(ring(thread=0, head=100, tail=0))
    with SessionDirectory(folder) as directory, pytest.raises(ProtocolError, match=r"ring\.0 is damaged"):
        list(directory.ring_tails())


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


def test_removing_takes_what_agents_make_and_nothing_else(folder: Path) -> None:
    (folder / "ring.0").write_bytes(ring(0, 0, 0))
    with SessionDirectory(folder) as directory:
        directory.remove()
    assert not folder.exists()


def test_links_and_pipes_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(OSError, match="link"):
        SessionDirectory(tmp_path / "link")
    (folder / "session").unlink()
    os.mkfifo(folder / "session")
    with pytest.raises(ProtocolError, match="not a file"):
        SessionDirectory(folder)
    (folder / "session").unlink()
    (folder / "session").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="session"):
        SessionDirectory(folder)


def test_a_directory_that_others_can_write_to_is_refused(folder: Path) -> None:
    folder.chmod(0o777)
    with pytest.raises(ProtocolError, match="others can write"):
        SessionDirectory(folder)


def test_only_directories_of_this_user_are_listed(tmp_path: Path) -> None:
    parent = tmp_path / f"calltrace-{os.geteuid()}"
    (parent / "2").mkdir(parents=True)
    (parent / "1").mkdir()
    (parent / "file").touch()
    (parent / "link").symlink_to(parent / "1")
    assert [path.name for path in session_directories(tmp_path)] == ["1", "2"]
    assert session_directories(tmp_path / "nothing") == []


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
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
            list(directory.ring_tails())
    except ProtocolError:
        pass
