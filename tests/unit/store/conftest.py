"""A database in a temporary folder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database in which nothing is stored; to be copied, for making one takes a while."""
    path = tmp_path_factory.mktemp("store") / "empty.db"
    Writer(str(path)).close()
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test may have its database; there is none yet."""
    return tmp_path / "calltrace.db"


@pytest.fixture
def writer(path: Path, empty_database: Path) -> Iterator[Writer]:
    """A writer to an empty database at `path`."""
    shutil.copy(empty_database, path)
    with Writer(str(path), busy_timeout_s=5) as writer:
        yield writer


@pytest.fixture
def reader(writer: Writer) -> Iterator[Reader]:
    """A reader of the same database."""
    with Reader(writer.url) as reader:
        yield reader
