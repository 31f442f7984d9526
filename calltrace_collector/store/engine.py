"""Opens the database.

SQLite is used in WAL mode with synchronous NORMAL: what is committed survives the death of any process,
SIGKILL included, at once, for it is in the operating system's hands. A power cut or a kernel crash may lose
the last commits (never a part of one), because nothing waits for the disk but checkpoints.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from calltrace_collector.errors import StoreError
from calltrace_collector.store.location import database_url, shown

# Measured, with pages of 4 to 64 KiB: all write chunks equally fast, but the smaller the page, the less is
# left empty behind a chunk's end (of 37 kB chunks, 4 KiB pages waste 4%, 8 KiB pages 12%), and the less is
# written when the index chunk_function changes in many places.
_PAGE_SIZE = 4096
_CHECKPOINT_PAGES = (16 << 20) // _PAGE_SIZE
_JOURNAL_LIMIT_BYTES = 64 << 20
_CACHE_KIB = 16 << 10
BUSY_TIMEOUT_S = 30.0


def open_engine(
    url: str | URL | None = None, *, read_only: bool = False, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> Engine:
    """Opens a database, whatever its schema; see migrate.py for that.

    Args:
        url: as in location.database_url.
        read_only: nothing is ever written, and a missing SQLite file is not created.
        busy_timeout_s: how long SQLite waits for another program's write transaction.

    Raises:
        StoreError: there is no such file, it is no SQLite database, or the driver is not installed.
    """
    url = url if isinstance(url, URL) else database_url(url)
    if url.get_backend_name() == "sqlite":
        return _open_sqlite(url, read_only=read_only, busy_timeout_s=busy_timeout_s)
    try:
        options = {"options": "-c default_transaction_read_only=on"} if read_only else {}
        return create_engine(url, pool_pre_ping=True, connect_args=options)
    except ModuleNotFoundError as error:
        raise StoreError("no driver for PostgreSQL: pip install 'calltrace-collector[postgres]'") from error


def _open_sqlite(url: URL, *, read_only: bool, busy_timeout_s: float) -> Engine:
    path = Path(str(url.database))
    if read_only:
        _require(path)
    else:
        _create(path)
    parameters = _uri(path, read_only=read_only)

    def connect() -> sqlite3.Connection:
        # Transactions are begun by the event below: the driver's own are of the wrong kind.
        return sqlite3.connect(
            parameters, uri=True, isolation_level=None, timeout=busy_timeout_s, check_same_thread=False
        )

    engine = create_engine(url, creator=connect)
    event.listen(engine, "connect", _configure_reader if read_only else _configure_writer)
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    if not read_only:
        with failures(engine, "open"), closing(connect()) as connection:
            _prepare_file(connection)
    return engine


def _require(path: Path) -> None:
    try:
        if path.is_file():
            return
    except OSError as error:
        raise StoreError(f"cannot open {path}: {error.strerror}") from error
    if path.exists():
        raise StoreError(f"{path} is no file: choose a database with --db")
    raise StoreError(f"no database at {path}: record something first, or choose one with --db")


def _create(path: Path) -> None:
    """Makes folder and file for the user alone; SQLite gives the file's mode to the files beside it."""
    try:
        for folder in [folder for folder in reversed(path.absolute().parents) if not folder.exists()]:
            folder.mkdir(mode=0o700, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(
            f"cannot write to {path}: {error.strerror}; choose another place with --db"
        ) from error


def _uri(path: Path, *, read_only: bool) -> str:
    uri = f"file:{quote(str(path.absolute()))}?mode={'ro' if read_only else 'rw'}"
    # In WAL mode, even readers need files beside the database. Where none can be made and none are, nobody
    # else writes either.
    wal = path.with_name(path.name + "-wal")
    if read_only and not os.access(path.parent, os.W_OK) and not wal.exists():
        uri += "&immutable=1"
    return uri


def _configure_reader(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute("PRAGMA query_only = ON")


def _configure_writer(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_LIMIT_BYTES}")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")


def _prepare_file(connection: sqlite3.Connection) -> None:
    """Sets what is a property of the file; page size and vacuum mode only take hold in an empty one."""
    connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")


def checkpoint(engine: Engine) -> None:
    """Brings what was committed from SQLite's log into the file, as far as no reader is in the way."""
    if engine.dialect.name == "sqlite":
        with closing(engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")


_ADVICE = {
    "full": "free some space",
    "disk I/O error": "is the disk full or broken?",
    "locked": "another program is writing to it",
    "readonly": "it may not be written",
    "not a database": "choose another with --db",
    "unable to open": "check its folder and permissions",
    "malformed": "the file is damaged",
}


@contextmanager
def failures(engine: Engine, action: str) -> Iterator[None]:
    """Turns the database's errors into a StoreError of one line: "cannot ACTION the database: why"."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OverflowError) as error:
        raise StoreError(_one_line(engine, action, error)) from error


def _one_line(engine: Engine, action: str, error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    reason = " ".join(str(cause).split())
    advice = next((f"; {advice}" for words, advice in _ADVICE.items() if words in reason), "")
    return f"cannot {action} {shown(engine.url)}: {reason}{advice}"


def is_sqlite(connection: Connection) -> bool:
    """Whether the connection is to SQLite; the other kind is PostgreSQL."""
    return connection.dialect.name == "sqlite"
