"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from calltrace_collector.cli.run import Run

COUNT = click.IntRange(0, (1 << 32) - 1)
"""The type of options that take a number of calls or of levels."""

PID = click.IntRange(1, (1 << 32) - 1)
"""The type of options that take a process id or a thread id."""

F = TypeVar("F", bound=Callable[..., Any])


def _set_debug(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    run = context.find_object(Run)
    if run is not None and value:
        run.debug = True


def common(function: F) -> F:
    """Adds --db (as the argument `db`) and --debug, which every command takes."""
    debug = click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_set_debug,
        help="Show where in the program an error came from.",
    )
    database = click.option(
        "--db",
        metavar="URL",
        envvar="CALLTRACE_DB",
        help="The database: postgresql://USER@HOST/NAME, sqlite:////PATH or the path of an SQLite file. "
        "Default: CALLTRACE_DB if set, else calltrace/calltrace.db in $XDG_DATA_HOME (~/.local/share).",
    )
    return database(debug(function))


def output_format(*formats: str, explained: str = "How to print it.") -> Callable[[F], F]:
    """Makes the option --format (as the argument `output_format`); the first format is the default."""
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help=explained,
    )


def of_process(function: F) -> F:
    """Adds --process and --pid (as `process` and `pid`): the process that is asked about."""
    by_pid = click.option("--pid", metavar="N", type=PID, help="The newest process with this process id.")
    by_id = click.option(
        "--process",
        metavar="ID",
        type=click.IntRange(1, (1 << 63) - 1),
        help="The process with this number in calltrace ps. Default: the newest of all.",
    )
    return by_id(by_pid(function))
