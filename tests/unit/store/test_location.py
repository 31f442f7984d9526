from pathlib import Path

import pytest

from calltrace_collector.errors import StoreError
from calltrace_collector.store.location import database_url, shown


def test_default_is_in_the_data_home() -> None:
    url = database_url(environment={"XDG_DATA_HOME": "/data"})
    assert url.get_backend_name() == "sqlite"
    assert url.database == "/data/calltrace/calltrace.db"


@pytest.mark.parametrize("environment", [{}, {"XDG_DATA_HOME": ""}, {"XDG_DATA_HOME": "not/absolute"}])
def test_default_without_a_data_home(environment: dict[str, str]) -> None:
    expected = Path.home() / ".local/share/calltrace/calltrace.db"
    assert database_url(environment=environment).database == str(expected)


def test_choice_goes_before_environment_before_default() -> None:
    environment = {"CALLTRACE_DB": "/from/environment.db", "XDG_DATA_HOME": "/data"}
    assert database_url("/chosen.db", environment).database == "/chosen.db"
    assert database_url(None, environment).database == "/from/environment.db"
    assert database_url("", environment).database == "/from/environment.db"
    assert database_url("", {**environment, "CALLTRACE_DB": ""}).database == "/data/calltrace/calltrace.db"


@pytest.mark.parametrize(
    ("choice", "database"),
    [
        ("relative.db", "relative.db"),
        ("/tmp/with space?and#signs%20.db", "/tmp/with space?and#signs%20.db"),
        ("sqlite:////tmp/x.db", "/tmp/x.db"),
        ("sqlite:///x.db", "x.db"),
        ("sqlite+pysqlite:////tmp/x.db", "/tmp/x.db"),
        ("~/x.db", str(Path.home() / "x.db")),
    ],
)
def test_sqlite_by_path_or_url(choice: str, database: str) -> None:
    url = database_url(choice, {})
    assert (url.drivername, url.database) == ("sqlite", database)
    assert shown(url) == database


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgresql_uses_psycopg_3(scheme: str) -> None:
    url = database_url(f"{scheme}://user:secret@db.example:5433/traces", {})
    assert url.drivername == "postgresql+psycopg"
    assert (url.host, url.port, url.database) == ("db.example", 5433, "traces")
    assert "db.example" in shown(url)
    assert "secret" not in shown(url)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("mysql://localhost/traces", "no support for databases of type mysql"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///file:x.db?mode=memory&uri=true", "names no file"),
        ("://secret", "cannot make sense"),
        ("postgresql://user:secret@host:port/name", "cannot make sense"),
    ],
)
def test_what_is_no_database(choice: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        database_url(choice, {})
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
