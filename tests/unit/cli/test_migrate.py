"""calltrace-collector migrate, and what others say of a schema that is not theirs."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from calltrace_collector.cli.collector import collector
from calltrace_collector.cli.run import run
from calltrace_collector.store.migrate import HEAD
from calltrace_collector.store.writer import Writer
from tests.unit.cli.conftest import Ask


def migrate(*arguments: str) -> int:
    return run(collector, "calltrace-collector", ["migrate", *arguments])


def test_a_new_database(tmp_path: Path, ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "calls.db"
    assert migrate("--db", str(path)) == 0
    assert capsys.readouterr() == (f"{path} has schema {HEAD}\n", "")
    assert migrate("--db", f"sqlite:///{path}", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out) == {"database": str(path), "schema": HEAD}
    assert ask("ps", "--db", str(path), "--format", "json").out == "[]\n"


def test_a_newer_schema_is_refused_by_all(
    writer: Writer, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(writer.url.database)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("update alembic_version set version_num = '9999'")
    message = f"{path} has schema 9999, newer than this version's {HEAD}: update calltrace-collector"
    for command in ("ps", "query", "report"):
        answer = ask(command)
        assert (answer.status, answer.out) == (1, "")
        assert answer.err.startswith(f"calltrace: {message}")
        assert answer.err.count("\n") == 1
    for command in ("migrate", "serve"):
        assert run(collector, "calltrace-collector", [command, "--db", path]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"calltrace-collector: {message}")
        assert err.count("\n") == 1


def test_a_database_of_something_else(tmp_path: Path, ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table customers (name text)")
    assert migrate("--db", str(path)) == 1
    assert "has tables of something else than calltrace" in capsys.readouterr().err
    assert "has tables of something else than calltrace" in ask("ps", "--db", str(path)).err
