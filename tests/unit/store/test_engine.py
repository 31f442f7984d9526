import os
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from calltrace_collector.errors import StoreError
from calltrace_collector.store.engine import open_engine
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.unit.store.samples import process_info, value_of


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_user_may_read_what_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "calltrace.db"
    before = os.umask(0)
    try:
        with Writer(str(path)) as writer:
            writer.open_process(process_info())
            made = sorted(path.parent.iterdir())
            modes = [mode_of(file) for file in made]
    finally:
        os.umask(before)
    assert [file.name for file in made] == ["calltrace.db", "calltrace.db-shm", "calltrace.db-wal"]
    assert modes == [0o600, 0o600, 0o600]
    assert mode_of(path.parent) == 0o700
    assert mode_of(path.parent.parent) == 0o700


def test_settings_of_writer_and_file(path: Path, writer: Writer) -> None:
    with open_engine(writer.url).connect() as connection:
        settings = {
            name: connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "page_size", "auto_vacuum")
        }
        connection.connection.close()
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 1,
        "foreign_keys": 1,
        "page_size": 4096,
        "auto_vacuum": 2,
    }
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_reader_makes_no_database(tmp_path: Path) -> None:
    missing = tmp_path / "folder" / "calltrace.db"
    with pytest.raises(StoreError) as caught:
        Reader(str(missing))
    expected = f"no database at {missing}: record something first, or choose one with --db"
    assert str(caught.value) == expected
    assert list(tmp_path.iterdir()) == []


def test_reader_cannot_write(writer: Writer) -> None:
    with open_engine(writer.url, read_only=True).connect() as connection:
        with pytest.raises(Exception, match="readonly"):
            connection.execute(text("DELETE FROM process"))
        connection.connection.close()


@pytest.mark.parametrize("user", [Reader, Writer])
def test_folder_in_place_of_a_file(tmp_path: Path, user: type[Reader | Writer]) -> None:
    with pytest.raises(StoreError, match=str(tmp_path)):
        user(str(tmp_path))


@pytest.mark.parametrize("user", [Reader, Writer])
def test_file_that_is_no_database(path: Path, user: type[Reader | Writer]) -> None:
    content = b"Dear diary, " * 1000
    path.write_bytes(content)
    with pytest.raises(StoreError, match="file is not a database; choose another") as caught:
        user(str(path))
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write to .*Not a directory"):
        Writer(str(tmp_path / "file" / "calltrace.db"))


def test_damaged_database(path: Path) -> None:
    with Writer(str(path)) as writer:
        writer.open_process(process_info())
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = os.urandom(len(content) - 4096 * 2)
    path.write_bytes(content)
    # Opening it fails or the first question does, as the bytes have it.
    with pytest.raises(StoreError) as caught, Reader(str(path)) as reader:
        reader.processes()
    assert "\n" not in str(caught.value)


def test_reading_where_nothing_may_be_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Writer(str(path)) as writer:
        writer.open_process(process_info())
    # To be denied by the system itself, a test must not be root.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with Reader(str(path)) as reader:
        assert [process.pid for process in reader.processes()] == [4242]
        assert [file.name for file in path.parent.iterdir()] == ["calltrace.db"]


def test_another_program_holds_the_database(path: Path) -> None:
    with Writer(str(path), busy_timeout_s=0.05) as writer:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match=r"cannot write to .*: database is locked; another program"):
                writer.open_process(process_info())
            other.execute("ROLLBACK")
        writer.open_process(process_info())
    assert value_of(path, "SELECT count(*) FROM process") == 1


def test_postgresql_without_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"pip install 'calltrace-collector\[postgres\]'"):
        Writer("postgresql://localhost/traces")
