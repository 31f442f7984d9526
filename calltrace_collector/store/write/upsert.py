"""Insert or update, in the words of SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Table, bindparam, make_url
from sqlalchemy.dialects import postgresql, sqlite

from calltrace_collector.store.models import Base

Row = Mapping[str, Any]
Insert = sqlite.Insert | postgresql.Insert


def insert_into(model: type[Base], dialect: str) -> Insert:
    """An insert that knows ON CONFLICT, for the dialect's name."""
    table = table_of(model)
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def table_of(model: type[Base]) -> Table:
    """The table behind a model."""
    table = model.__table__
    assert isinstance(table, Table)  # noqa: S101 for the type checker: a mapped class may stand on a join
    return table


@lru_cache(maxsize=128)
def _upsert(model: type[Base], dialect: str, keys: tuple[str, ...], updated: tuple[str, ...]) -> Insert:
    statement = insert_into(model, dialect)
    if not updated:
        return statement.on_conflict_do_nothing(index_elements=keys)
    new = {name: statement.excluded[name] for name in updated}
    return statement.on_conflict_do_update(index_elements=keys, set_=new)


def upsert(
    connection: Connection, model: type[Base], rows: Sequence[Row], *, keys: tuple[str, ...] = ()
) -> None:
    """Inserts rows; where one is with the same key, the other columns given replace its.

    All rows give the same columns. `keys` are those of a unique constraint, by default the primary key.
    """
    if not rows:
        return
    keys = keys or _primary_key(model)
    updated = tuple(name for name in rows[0] if name not in keys)
    connection.execute(_upsert(model, connection.dialect.name, keys, updated), rows)


def upsert_tuples(
    connection: Connection, model: type[Base], columns: tuple[str, ...], rows: Sequence[tuple[int, ...]]
) -> None:
    """Does what upsert does, for many rows of numbers: in less than half the time.

    Nothing converts the values: those of type U64 must be `signed`.
    """
    if rows:
        connection.exec_driver_sql(_sql(model, connection.dialect.name, columns), list(rows))


@lru_cache(maxsize=128)
def _sql(model: type[Base], dialect: str, columns: tuple[str, ...]) -> str:
    """An upsert with a positional parameter for each of the columns, in their order."""
    keys = _primary_key(model)
    statement = _upsert(model, dialect, keys, tuple(name for name in columns if name not in keys))
    values: dict[str, Any] = {name: bindparam(name, required=True) for name in columns}
    compiled = statement.values(values).compile(dialect=_POSITIONAL[dialect])
    assert compiled.positiontup is not None  # noqa: S101 for the type checker: the dialect is positional
    assert tuple(compiled.positiontup) == columns, "the insert has the columns in another order"  # noqa: S101
    return str(compiled)


def _dialect(url: str, paramstyle: str) -> Dialect:
    make: Any = make_url(url).get_dialect()
    dialect: Dialect = make(paramstyle=paramstyle)
    return dialect


_POSITIONAL = {
    "sqlite": _dialect("sqlite://", "qmark"),
    "postgresql": _dialect("postgresql+psycopg://", "format"),
}


def insert_missing(
    connection: Connection, model: type[Base], rows: Sequence[Row], *, keys: tuple[str, ...] = ()
) -> None:
    """Inserts the rows whose key is not there yet."""
    if rows:
        connection.execute(_upsert(model, connection.dialect.name, keys or _primary_key(model), ()), rows)


@lru_cache(maxsize=128)
def _primary_key(model: type[Base]) -> tuple[str, ...]:
    return tuple(column.name for column in table_of(model).primary_key.columns)
