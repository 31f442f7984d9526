"""Runs a program's command and prints its errors: the only place that does."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

import click

from calltrace_collector.errors import CalltraceError

INTERRUPTED = 128 + signal.SIGINT


@dataclass(slots=True)
class Run:
    """What the commands of one run share. `debug`: errors come with their traceback."""

    debug: bool = False


def run(program: click.Group, name: str, arguments: Sequence[str]) -> int:
    """Runs a command and returns the exit status.

    A command returns its exit status, or None for 0. Whatever goes wrong becomes one line on stderr.

    Args:
        program: the group of commands.
        name: what the program is called in messages.
        arguments: without the program's name.
    """
    this_run = Run()
    try:
        status = program.main(list(arguments), prog_name=name, standalone_mode=False, obj=this_run)
        sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 nothing may end in a traceback that nobody asked for
        if this_run.debug:
            traceback.print_exc()
        message, exit_status = _explain(error, name)
        click.echo(f"{name}: {' '.join(message.split())}", err=True)
        return exit_status
    return status if isinstance(status, int) else 0


def _explain(error: Exception, name: str) -> tuple[str, int]:
    """What to say of an error, and the exit status."""
    if isinstance(error, CalltraceError):
        return error.message, error.exit_code
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else name
        return f"{_sentence(error)}; see {path} --help", error.exit_code
    if isinstance(error, click.ClickException):
        return _sentence(error), error.exit_code
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}", 1
    return f"this is a bug: {type(error).__name__}: {error}; --debug shows where", 1


def _sentence(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    return message[:1].lower() + message[1:]
