"""calltrace agent-path: where the agent is, for LD_PRELOAD."""

from __future__ import annotations

import click

from calltrace_collector.cli.options import common, output_format
from calltrace_collector.config import agent_library
from calltrace_collector.report.json_text import json_text


@click.command("agent-path")
@output_format("text", "json")
@common
def agent_path(db: str | None, output_format: str) -> None:  # noqa: ARG001 every command takes --db
    """Print the path of the agent, which LD_PRELOAD puts into a program.

    \b
    Examples:
      calltrace-collector serve &
      LD_PRELOAD=$(calltrace agent-path) ./prog
    """  # noqa: D301 click's mark for text that is not to be filled
    path = str(agent_library())
    click.echo(json_text({"agent": path}) if output_format == "json" else path)
