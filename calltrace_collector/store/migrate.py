"""Brings a database's schema up to date, with alembic and the scripts in migrations/."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, column, inspect, select, table, text

from calltrace_collector.errors import SchemaError, StoreError
from calltrace_collector.store.engine import failures, is_sqlite
from calltrace_collector.store.location import shown

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0003"
"""The schema of this version. Revisions are numbers that rise, all of the same length."""

_VERSION_TABLE = table("alembic_version", column("version_num"))
# An arbitrary number that all collectors agree on; PostgreSQL's advisory locks have no names.
_ADVISORY_LOCK = 0x63616C6C74726163


def migrations_directory() -> Path:
    """Where the migration scripts are: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def revision(connection: Connection) -> str | None:
    """The revision of the database's schema; None: no calltrace schema yet."""
    if not inspect(connection).has_table(_VERSION_TABLE.name):
        return None
    found: str | None = connection.execute(select(_VERSION_TABLE.c.version_num)).scalar()
    return found


def require_current(engine: Engine) -> None:
    """Checks that a database may be read. Raises StoreError when its schema isn't this version's."""
    with failures(engine, "open"), engine.connect() as connection:
        found = revision(connection)
        if found is None:
            raise _foreign(engine, connection)
    _refuse_newer(engine, found)
    if found != HEAD:
        raise SchemaError(
            f"{shown(engine.url)} has schema {found}, this version needs {HEAD}: "
            "run calltrace-collector migrate with the same --db"
        )


def prepare(engine: Engine) -> None:
    """Readies a database for writing: an SQLite file gets the current schema, others must have it.

    Several programs may do this at once.

    Raises:
        StoreError: the schema is newer than this version, or not of SQLite and older, or somebody else's.
    """
    with failures(engine, "open"), engine.connect() as connection:
        found = revision(connection)
        sqlite = is_sqlite(connection)
    if found == HEAD:
        return
    if sqlite:
        upgrade(engine)
        return
    _refuse_newer(engine, found)
    raise SchemaError(
        f"{shown(engine.url)} has schema {found or 'none'}, this version needs {HEAD}: "
        "run calltrace-collector migrate with the same --db"
    )


def upgrade(engine: Engine, to: str = "head") -> None:
    """Migrates up to a revision, in one transaction that others wait for. Raises StoreError."""
    from alembic import command  # noqa: PLC0415 slow to import, and rarely needed

    with failures(engine, "migrate"), engine.begin() as connection:
        _lock(connection)
        found = revision(connection)
        _refuse_newer(engine, found)
        if found is None and _tables(connection):
            raise _foreign(engine, connection)
        command.upgrade(config(connection), to)


def downgrade(engine: Engine, to: str) -> None:
    """Migrates down to a revision, "base" for none, in one transaction. Raises StoreError."""
    from alembic import command  # noqa: PLC0415 slow to import, and rarely needed

    with failures(engine, "migrate"), engine.begin() as connection:
        _lock(connection)
        _refuse_newer(engine, revision(connection))
        command.downgrade(config(connection), to)


def config(connection: Connection) -> Config:
    """Alembic's configuration for a connection, which migrations/env.py uses as it is."""
    from alembic.config import Config  # noqa: PLC0415 as above

    config = Config()
    config.set_main_option("script_location", str(migrations_directory()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _lock(connection: Connection) -> None:
    # On SQLite, the transaction itself began as the only one that may write.
    if not is_sqlite(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


def _refuse_newer(engine: Engine, found: str | None) -> None:
    if found is not None and found > HEAD:
        raise SchemaError(
            f"{shown(engine.url)} has schema {found}, newer than this version's {HEAD}: "
            "update calltrace-collector, or choose another database with --db"
        )


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) - {_VERSION_TABLE.name}


def _foreign(engine: Engine, connection: Connection) -> StoreError:
    if _tables(connection):
        return StoreError(
            f"{shown(engine.url)} has tables of something else than calltrace: choose another with --db"
        )
    return StoreError(
        f"{shown(engine.url)} is empty: record something first, or choose another database with --db"
    )
