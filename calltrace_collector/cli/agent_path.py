"""calltrace agent-path: where the agent is, for LD_PRELOAD."""

from __future__ import annotations

from pathlib import Path

import click

from calltrace_collector.cli.options import common, output_format
from calltrace_collector.config import AGENT_LIBRARY
from calltrace_collector.errors import BuildError
from calltrace_collector.report.json_text import json_text


def agent_library() -> Path:
    """Returns the path of the library that traced programs preload.

    Raises:
        BuildError: it was never built.
    """
    if not AGENT_LIBRARY.is_file():
        raise BuildError(f"no agent at {AGENT_LIBRARY}: run make build, or install calltrace-collector again")
    return AGENT_LIBRARY


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
