"""The program `calltrace-collector`: what an administrator runs."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from calltrace_collector import __version__
from calltrace_collector.cli.commands import CommandList, Entry
from calltrace_collector.cli.run import run

NAME = "calltrace-collector"
_ROOM = "calltrace_collector.cli"

COMMANDS = {
    "serve": Entry(f"{_ROOM}.serve:serve", "Run a collector, to which programs send their calls."),
    "migrate": Entry(f"{_ROOM}.migrate:migrate", "Bring a database to the schema of this version."),
    "completion": Entry(f"{_ROOM}.completion:completion", "Print what makes a shell complete commands."),
}


@click.group(NAME, cls=CommandList, entries=COMMANDS)
@click.version_option(__version__, prog_name=NAME)
def collector() -> None:
    """Collect and store what traced programs send.

    \b
    Examples:
      calltrace-collector serve
      calltrace-collector serve --db postgresql://calltrace@db.example.org/calltrace
      calltrace-collector migrate --db postgresql://calltrace@db.example.org/calltrace
    """  # noqa: D301 click's mark for text that is not to be filled


def main() -> NoReturn:
    """Runs the program with the arguments of the command line."""
    # gRPC writes what peers send to stderr as it comes, whatever that does to a terminal.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    sys.exit(run(collector, NAME, sys.argv[1:]))


if __name__ == "__main__":
    main()
