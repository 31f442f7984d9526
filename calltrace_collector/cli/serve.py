"""calltrace-collector serve: takes what traced programs send, until it is told to end."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from calltrace_collector.cli.options import common
from calltrace_collector.cli.planning import make_plan
from calltrace_collector.config import default_socket, session_parents
from calltrace_collector.crash.analyze import Analyzer
from calltrace_collector.ingest.server import ServeOptions
from calltrace_collector.ingest.server import serve as serve_until_signalled
from calltrace_collector.store.writer import Writer


@click.command("serve")
@click.option(
    "--socket",
    metavar="PATH",
    envvar="CALLTRACE_SOCKET",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to listen. Default: CALLTRACE_SOCKET if set, else calltrace/collector.sock in "
    "$XDG_RUNTIME_DIR, where programs look for a collector when nobody tells them.",
)
@click.option("--ready-fd", metavar="N", type=click.IntRange(min=0), hidden=True)
@click.option("--until-idle", is_flag=True, hidden=True)
@click.option("--remove", metavar="DIRECTORY", type=click.Path(path_type=Path), hidden=True)
@common
def serve(
    db: str | None, socket: Path | None, ready_fd: int | None, until_idle: bool, remove: Path | None
) -> None:
    """Run a collector, to which any number of programs send their calls.

    It ends at SIGTERM or SIGINT (Ctrl-C), when all it has received is stored.

    \b
    Examples:
      calltrace-collector serve
      calltrace-collector serve --db /data/calls.db --socket /run/me/calltrace.sock
      LD_PRELOAD=$(calltrace agent-path) ./prog        # sends its calls to it
    """  # noqa: D301 click's mark for text that is not to be filled
    # The hidden options are for calltrace record: the collector that it starts tells by --ready-fd when it
    # listens, ends --until-idle, and then removes the folder that was made for it.
    options = ServeOptions(
        socket=socket or default_socket(),
        until_idle=until_idle,
        ready_fd=ready_fd,
        shm_directories=session_parents(),
    )
    with Writer(db) as writer:
        serve_until_signalled(options, writer, Analyzer(), make_plan, _say)
    if remove is not None:
        shutil.rmtree(remove, ignore_errors=True)


def _say(line: str) -> None:
    click.echo(f"calltrace-collector: {line}", err=True)
