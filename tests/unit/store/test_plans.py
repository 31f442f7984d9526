"""Every question finds its rows by an index, or reads a table in the order of its key."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from calltrace_collector.model.commit import Commit, Loss
from calltrace_collector.store.chunk_filter import ChunkFilter
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.unit.store.samples import chunk, module_info, process_info, progress, site, thread_info

Statement = tuple[str, Any]

QUESTIONS: dict[str, Callable[[Reader, Writer], object]] = {
    "newest process": lambda reader, _: reader.processes(limit=1),
    "process": lambda reader, _: reader.processes(process=1),
    "process by pid": lambda reader, _: reader.processes(pid=4242),
    "process by host": lambda reader, _: reader.processes(host="workshop"),
    "threads": lambda reader, _: reader.threads(1),
    "modules": lambda reader, _: reader.modules(1),
    "functions": lambda reader, _: reader.functions(1),
    "sites": lambda reader, _: reader.sites(1),
    "clock": lambda reader, _: reader.clock(1),
    "chunks": lambda reader, _: list(reader.chunks(reader.chunk_heads(1, 0))),
    "chunks of functions": lambda reader, _: reader.chunk_heads(1, 0, ChunkFilter([0, 1], min_ticks=1)),
    "late chunks": lambda reader, _: reader.late_heads(1, 0, first_call=1, last_call=2),
    "functions in chunks": lambda reader, _: reader.functions_in_chunks(1, [0]),
    "profiles": lambda reader, _: reader.profiles(1),
    "stack": lambda reader, _: reader.stack(1, 0),
    "losses": lambda reader, _: list(reader.losses(1)),
    "losses of a thread": lambda reader, _: list(reader.losses(1, 0)),
    "unnamed": lambda _, writer: writer.unnamed(),
    "process found again": lambda _, writer: writer.open_process(process_info()),
    "commit": lambda _, writer: writer.commit([commit(1)]),
}


def commit(process: int) -> Commit:
    return Commit(
        process,
        1,
        threads=[thread_info()],
        modules=[module_info()],
        sites=[site(0), site(1)],
        chunks=[chunk(0), chunk(1)],
        progress=[progress()],
        losses=[Loss(0, 4, 1, 2, 3)],
    )


def statements_of(engine: Engine, found: list[Statement]) -> None:
    @event.listens_for(engine, "before_cursor_execute")
    def note(_: object, __: object, sql: str, parameters: Any, ___: object, many: bool) -> None:
        found.append((sql, parameters[0] if many else parameters))


@pytest.mark.parametrize("question", QUESTIONS)
def test_plan(writer: Writer, reader: Reader, path: Path, question: str) -> None:
    writer.commit([commit(writer.open_process(process_info()).process)])
    found: list[Statement] = []
    for engine in (reader._engine, writer._engine, writer._reading_engine):
        statements_of(engine, found)
    QUESTIONS[question](reader, writer)
    assert found
    with closing(sqlite3.connect(path)) as connection:
        for sql, parameters in found:
            if sql.startswith("BEGIN"):
                continue
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
            # Hosts are few, and the statement's own values are in no table.
            harmless = ("INDEX", "SCAN host", "CONSTANT ROW")
            scans = [step for step in plan if step.startswith("SCAN")]
            assert [step for step in scans if not any(word in step for word in harmless)] == [], sql
