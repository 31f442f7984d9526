"""calltrace record: runs a program and stores every call it makes."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from calltrace_collector.cli.agent_path import agent_library
from calltrace_collector.cli.capture_setting import EVERY_FUNCTION, SETTING, capture_globs
from calltrace_collector.cli.listening import is_listening
from calltrace_collector.cli.options import COUNT, common
from calltrace_collector.cli.private import PrivateCollector
from calltrace_collector.cli.traced import TracedProgram
from calltrace_collector.cli.untraced import count_since, why_untraced
from calltrace_collector.config import default_socket
from calltrace_collector.errors import CalltraceError, UnreachableError
from calltrace_collector.report.units import printable

if TYPE_CHECKING:
    from calltrace_collector import wire


@click.command(
    "record",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="[OPTIONS] --",
)
@click.option("--max-depth", type=COUNT, metavar="N", help="Record N levels of calls; 0: all.")
@click.option(
    "--overflow",
    type=click.Choice(["block", "drop"]),
    help="What a thread does when it makes calls faster than they can be sent: wait (block, the default), "
    "or go on, with what is dropped counted (drop).",
)
@click.option(
    "--args",
    "capture",
    is_flag=False,
    flag_value=EVERY_FUNCTION,
    metavar="[=GLOBS]",
    help="Record arguments and return values too: of all functions, or of those whose names match one of "
    "GLOBS, separated by commas. The program needs -g.",
)
@click.option(
    "--socket",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Send the calls to the collector that listens here, which stores them in its own database.",
)
@click.option("-v", "--verbose", is_flag=True, help="Say what was recorded, even when not on a terminal.")
@click.argument("program", metavar="PROGRAM")
@click.argument("arguments", metavar="[ARGS]...", nargs=-1, type=click.UNPROCESSED)
@common
@click.pass_context
def record(  # noqa: PLR0913, PLR0917 an argument an option
    context: click.Context,
    db: str | None,
    max_depth: int | None,
    overflow: str | None,
    capture: str | None,
    socket: Path | None,
    verbose: bool,
    program: str,
    arguments: tuple[str, ...],
) -> int:
    """Run PROGRAM and store every call it makes; exit as it does.

    PROGRAM is to be compiled with -finstrument-functions, and with -g for source lines. The calls go to the
    collector that is running, or, if there is none or a database is named (--db, CALLTRACE_DB), through one
    that is started for this run. All is stored when the command returns. Its exit status is the program's, or
    128 and the number of the signal that killed it.

    \b
    Examples:
      calltrace record -- ./prog --its-option argument
      calltrace record --db calls.db -- ./prog
      calltrace record --max-depth 10 -- ./prog
      calltrace record --args -- ./prog                  # with arguments and return values
      calltrace record --args='parse_*,ns::*' -- ./prog  # of these functions
    """  # noqa: D301 click's mark for text that is not to be filled
    # A program that reads our messages and ends first must not end us.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    environment = _environment(max_depth, overflow)
    globs = capture_globs(capture, environment)
    began_at_ns = time.time_ns()
    db_is_option = context.get_parameter_source("db") == ParameterSource.COMMANDLINE
    with ExitStack() as stack:
        at = _running_collector(socket, db, db_is_option=db_is_option)
        is_private = at is None
        if at is None:
            at = stack.enter_context(PrivateCollector(db)).socket
        environment["CALLTRACE_SOCKET"] = str(at)
        if globs is not None:
            _prepare_capture(program, globs, environment)
        traced = TracedProgram([program, *arguments], environment)
        # Takes as long to import as a short program takes to run.
        from calltrace_collector.cli.finish import finish  # noqa: PLC0415

        ended = traced.wait()
        done = finish(at, ended)
        traced.bury()
    where = f" --db {db}" if db_is_option else ""
    for crash in done.crashes:
        _say(f"{_crash(program, crash)}; see calltrace crash --process {crash.process}{where}")
    if done.sessions == 0:
        others = count_since(db, began_at_ns) if is_private else 0
        _say(f"0 calls: {why_untraced(program, others)}")
    elif verbose or sys.stderr.isatty():
        calls = f"{done.calls:,} call{'' if done.calls == 1 else 's'}"
        _say(f"{calls}; see them with: calltrace query --pid {ended.pid}{where}")
    return ended.exit_status


def _crash(program: str, crash: wire.FinishedCrash) -> str:
    """The crash of a program in one sentence, for a terminal."""
    crashed = "had a crash that it handled itself" if crash.handled else "crashed"
    return printable(f"{PurePath(program).name} {crashed}: {crash.reason}")


def _environment(max_depth: int | None, overflow: str | None) -> dict[str, str]:
    """The program's environment, but for the socket."""
    environment = dict(os.environ)
    agent = str(agent_library())
    if " " in agent or ":" in agent:
        raise CalltraceError(
            f"the agent cannot be preloaded from {agent}: install calltrace-collector in a folder "
            "without spaces and colons in its path"
        )
    already = environment.get("LD_PRELOAD")
    environment["LD_PRELOAD"] = f"{already}:{agent}" if already else agent
    if max_depth is not None:
        environment["CALLTRACE_MAX_DEPTH"] = str(max_depth)
    if overflow is not None:
        environment["CALLTRACE_OVERFLOW"] = overflow
    return environment


def _prepare_capture(program: str, globs: str, environment: dict[str, str]) -> None:
    """Has the program capture values, by plans that are made before it begins."""
    from calltrace_collector.cli.capturing import prepare  # noqa: PLC0415 takes long to import

    environment[SETTING] = globs
    if (warning := prepare(program, globs, environment)) is not None:
        _say(warning)


def _running_collector(socket: Path | None, db: str | None, *, db_is_option: bool) -> Path | None:
    """The socket of the collector to use; None: one is to be started.

    What was said on the command line counts more than the environment, and a socket more than a database.
    """
    if socket is not None:
        if not is_listening(socket):
            raise UnreachableError(
                f"no collector listens at {socket}: run calltrace-collector serve --socket {socket}"
            )
        return socket.absolute()
    if db_is_option:
        return None
    named = os.environ.get("CALLTRACE_SOCKET")
    if named and is_listening(Path(named)):
        return Path(named).absolute()
    if db or not is_listening(default_socket()):
        return None
    return default_socket()


def _say(line: str) -> None:
    with suppress(BrokenPipeError):
        click.echo(f"calltrace: {line}", err=True)
