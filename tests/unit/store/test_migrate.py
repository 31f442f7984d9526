import importlib.util
import io
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, make_url, text
from sqlalchemy.schema import CreateIndex, CreateSequence, CreateTable

from calltrace_collector.errors import SchemaError, StoreError
from calltrace_collector.store import migrate
from calltrace_collector.store.engine import open_engine
from calltrace_collector.store.models import Base
from calltrace_collector.store.models.chunk import CHUNK_SEQUENCE
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.unit.store.samples import process_info, rows_of, value_of

HEAD = migrate.HEAD
POSTGRESQL = make_url("postgresql+psycopg://").get_dialect()()
SCHEMA = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    engine = open_engine(str(path))
    yield engine
    engine.dispose()


def scripts(engine: Engine) -> ScriptDirectory:
    with engine.connect() as connection:
        return ScriptDirectory.from_config(migrate.config(connection))


def test_models_equal_migrations(engine: Engine) -> None:
    migrate.upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_what_comparison_does_not_see(engine: Engine, tmp_path: Path) -> None:
    """alembic compares neither WITHOUT ROWID nor AUTOINCREMENT nor what a partial index leaves out."""
    migrate.upgrade(engine)
    models = open_engine(str(tmp_path / "models.db"))
    with models.begin() as connection:
        Base.metadata.create_all(connection)
    models.dispose()
    wanted = {name: normal(sql) for _, name, sql in rows_of(tmp_path / "models.db", SCHEMA)}
    found = {name: normal(sql) for _, name, sql in rows_of(Path(str(engine.url.database)), SCHEMA)}
    found.pop("alembic_version")
    assert found == wanted


def normal(sql: str) -> list[str]:
    """A statement whose parts may stand in any order and spacing."""
    parts = re.split(r"[(),]", sql)
    return sorted({" ".join(part.split()) for part in parts} - {""})


def test_head_is_the_last_revision(engine: Engine) -> None:
    assert scripts(engine).get_heads() == [migrate.HEAD]


def test_revisions_are_numbers_that_rise(engine: Engine) -> None:
    revisions = [script.revision for script in scripts(engine).walk_revisions("base", "heads")][::-1]
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]


def test_down_and_up_again(engine: Engine, path: Path) -> None:
    migrate.upgrade(engine)
    before = rows_of(path, SCHEMA)
    migrate.downgrade(engine, "base")
    assert [name for _, name, _ in rows_of(path, SCHEMA)] == ["alembic_version"]
    migrate.upgrade(engine)
    assert rows_of(path, SCHEMA) == before


def test_threads_of_before_have_unknown_creators(engine: Engine, path: Path) -> None:
    migrate.upgrade(engine, "0001")
    values = "1, 0, 77, 'old', 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"INSERT INTO thread VALUES ({values})")
        connection.commit()
    migrate.upgrade(engine)
    names = "name, stack_base, creator_tid, next_chunk"
    assert rows_of(path, f"SELECT {names} FROM thread") == [("old", 3, 0, 12)]
    migrate.downgrade(engine, "0001")
    assert rows_of(path, "SELECT * FROM thread") == [(1, 0, 77, "old", *range(1, 13))]


def test_failed_migration_leaves_nothing(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        connection.execute(text("PRAGMA max_page_count = 8"))
    with pytest.raises(StoreError, match=r"cannot migrate .*: database or disk is full; free some space"):
        migrate.upgrade(engine)
    assert rows_of(path, SCHEMA) == []
    with engine.connect() as connection:
        connection.execute(text("PRAGMA max_page_count = 1000000"))
    migrate.prepare(engine)
    assert value_of(path, "SELECT version_num FROM alembic_version") == migrate.HEAD


@pytest.mark.parametrize("user", [Reader, Writer])
def test_newer_schema(path: Path, user: type[Reader | Writer]) -> None:
    Writer(str(path)).close()
    set_revision(path, "0999")
    with pytest.raises(SchemaError) as caught:
        user(str(path))
    assert str(caught.value) == (
        f"{path} has schema 0999, newer than this version's {migrate.HEAD}: "
        "update calltrace-collector, or choose another database with --db"
    )


def test_older_schema_is_only_migrated_by_a_writer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Writer(str(path)).close()
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "HEAD", "0999")
        with pytest.raises(SchemaError, match=f"has schema {HEAD}, this version needs 0999: run calltrace-"):
            Reader(str(path))


@pytest.mark.parametrize("user", [Reader, Writer])
def test_database_of_something_else(path: Path, user: type[Reader | Writer]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE diary (day TEXT)")
    with pytest.raises(StoreError, match="tables of something else than calltrace: choose another"):
        user(str(path))
    assert [name for _, name, _ in rows_of(path, SCHEMA)] == ["diary"]


def test_reader_of_an_empty_file(path: Path) -> None:
    path.touch()
    with pytest.raises(StoreError, match="is empty: record something first"):
        Reader(str(path))


def set_revision(path: Path, revision: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
        connection.commit()


def test_many_begin_at_once(path: Path) -> None:
    program = (
        "import sys; from calltrace_collector.store.writer import Writer;"
        "sys.stdin.read(1); Writer(sys.argv[1]).close()"
    )
    command = [sys.executable, "-c", program, str(path)]
    children = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"x")
        child.stdin.flush()
    assert [child.communicate(timeout=60)[1] for child in children] == [b""] * 3
    with Writer(str(path)) as writer, Reader(str(path)) as reader:
        writer.open_process(process_info())
        assert len(reader.processes()) == 1


def script_of(revision: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(revision.stem, revision)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def with_added_columns(statements: Iterable[list[str]]) -> list[list[str]]:
    """Statements in which columns that were added to a table stand in the statement that makes it."""
    made: list[list[str]] = []
    for statement in statements:
        added = re.fullmatch(r"ALTER TABLE (\w+) ADD COLUMN (.*)", " ".join(statement))
        if added is None:
            made.append(statement)
            continue
        (table,) = [one for one in made if f"CREATE TABLE {added[1]}" in one]
        table[:] = sorted([*table, added[2]])
    return made


def test_postgresql_gets_the_same_from_models_and_migrations() -> None:
    output = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": output}
    )
    with Operations.context(context):
        for revision in sorted((migrate.migrations_directory() / "versions").glob("*.py")):
            script_of(revision).upgrade()
    statements = with_added_columns(normal(each) for each in output.getvalue().split(";") if each.strip())
    found = {" ".join(statement) for statement in statements}

    wanted = [str(CreateSequence(CHUNK_SEQUENCE).compile(dialect=POSTGRESQL))]
    for table in Base.metadata.sorted_tables:
        wanted.append(str(CreateTable(table).compile(dialect=POSTGRESQL)))
        wanted += [str(CreateIndex(index).compile(dialect=POSTGRESQL)) for index in table.indexes]
    assert found == {" ".join(normal(statement)) for statement in wanted}


def test_postgresql_has_no_type_that_is_too_small() -> None:
    for table in Base.metadata.sorted_tables:
        sql = str(CreateTable(table).compile(dialect=POSTGRESQL))
        assert "INTEGER" not in sql
        assert "ROWID" not in sql
