"""calltrace-collector migrate: brings a database's schema up to date."""

from __future__ import annotations

import click

from calltrace_collector.cli.options import common, output_format
from calltrace_collector.report.json_text import json_text
from calltrace_collector.store.engine import open_engine
from calltrace_collector.store.location import shown
from calltrace_collector.store.migrate import HEAD, upgrade


@click.command("migrate")
@output_format("text", "json")
@common
def migrate(db: str | None, output_format: str) -> None:
    """Bring a database to the schema of this version, making it if it is not there.

    Collectors do that by themselves with SQLite; PostgreSQL is migrated by this command alone.

    \b
    Examples:
      calltrace-collector migrate --db postgresql://calltrace@db.example.org/calltrace
      CALLTRACE_DB=/data/calls.db calltrace-collector migrate
    """  # noqa: D301 click's mark for text that is not to be filled
    engine = open_engine(db)
    upgrade(engine)
    engine.dispose()
    if output_format == "json":
        click.echo(json_text({"database": shown(engine.url), "schema": HEAD}))
    else:
        click.echo(f"{shown(engine.url)} has schema {HEAD}")
