"""A database in a temporary folder, for the packages that ask it questions."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database in which nothing is stored; to be copied, for making one takes a while."""
    path = tmp_path_factory.mktemp("empty") / "empty.db"
    Writer(str(path)).close()
    return path


@pytest.fixture
def writer(tmp_path: Path, empty_database: Path) -> Iterator[Writer]:
    path = tmp_path / "calltrace.db"
    shutil.copy(empty_database, path)
    with Writer(str(path)) as writer:
        yield writer


@pytest.fixture
def reader(writer: Writer) -> Iterator[Reader]:
    with Reader(writer.url) as reader:
        yield reader
