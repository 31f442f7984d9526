"""Where the database is: --db, else CALLTRACE_DB, else a file in the user's data folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from calltrace_collector.errors import StoreError

_DIALECTS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


def default_path(environment: Mapping[str, str]) -> Path:
    """The SQLite file when nobody chose a database: calltrace/calltrace.db in $XDG_DATA_HOME."""
    data_home = environment.get("XDG_DATA_HOME", "")
    # The XDG base directory specification: a path that isn't absolute is to be ignored.
    folder = Path(data_home) if Path(data_home).is_absolute() else Path("~/.local/share").expanduser()
    return folder / "calltrace" / "calltrace.db"


def database_url(choice: str | None = None, environment: Mapping[str, str] | None = None) -> URL:
    """Returns the URL of the database to use.

    Args:
        choice: a URL of sqlite or postgresql, or the path of an SQLite file; None or empty: CALLTRACE_DB
            if it is set, else the default file.
        environment: os.environ unless a test brings its own.

    Raises:
        StoreError: it is neither a path nor a URL of a database that is supported.
    """
    environment = os.environ if environment is None else environment
    choice = choice or environment.get("CALLTRACE_DB")
    if not choice:
        return _sqlite_url(default_path(environment))
    if "://" not in choice:
        return _sqlite_url(Path(choice).expanduser())
    try:
        url = make_url(choice)
    except (ArgumentError, ValueError) as error:
        # The URL itself may hold a password, so it isn't repeated.
        message = (
            "cannot make sense of the database's URL: write sqlite:////PATH or postgresql://USER@HOST/NAME"
        )
        raise StoreError(message) from error
    backend = url.get_backend_name()
    if backend not in _DIALECTS:
        message = f"no support for databases of type {backend}: choose sqlite:////PATH or postgresql://..."
        raise StoreError(message)
    if url.drivername in _DIALECTS:
        url = url.set(drivername=_DIALECTS[url.drivername])
    if backend != "sqlite":
        return url
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise StoreError(f"{choice} names no file: choose one with --db PATH")
    return _sqlite_url(Path(url.database))


def _sqlite_url(path: Path) -> URL:
    return URL.create("sqlite", database=str(path))


def shown(url: URL) -> str:
    """The database's name in messages: the file's path, or the URL without its password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.render_as_string(hide_password=True)
