"""The program `calltrace`: records programs and answers questions about them."""

from __future__ import annotations

import signal
import sys
from io import TextIOWrapper
from typing import NoReturn

import click

from calltrace_collector import __version__
from calltrace_collector.cli.commands import CommandList, Entry
from calltrace_collector.cli.run import run

NAME = "calltrace"
_ROOM = "calltrace_collector.cli"

COMMANDS = {
    "record": Entry(f"{_ROOM}.record:record", "Run a program and store every call it makes."),
    "query": Entry(f"{_ROOM}.query:query", "Print the calls of a process: as a tree, or one a line."),
    "report": Entry(f"{_ROOM}.report:report", "Print calls and times of each function."),
    "ps": Entry(f"{_ROOM}.ps:ps", "List the processes that were traced."),
    "threads": Entry(f"{_ROOM}.threads:threads", "List the threads of a process."),
    "crashes": Entry(f"{_ROOM}.crashes:crashes", "List the crashes of traced programs."),
    "crash": Entry(f"{_ROOM}.crash:crash", "Show a crash: why, where, and what came before it."),
    "agent-path": Entry(f"{_ROOM}.agent_path:agent_path", "Print the path of the agent, for LD_PRELOAD."),
    "completion": Entry(f"{_ROOM}.completion:completion", "Print what makes a shell complete commands."),
}


@click.group(NAME, cls=CommandList, entries=COMMANDS)
@click.version_option(__version__, prog_name=NAME)
def calltrace() -> None:
    """Record every function call of programs built with -finstrument-functions, and look at them.

    \b
    Examples:
      gcc -g -finstrument-functions -o prog prog.c
      calltrace record -- ./prog args     # run it and store its calls
      calltrace query                     # the call tree of the newest process
      calltrace report                    # calls and times of each function
    """  # noqa: D301 click's mark for text that is not to be filled


def main() -> NoReturn:
    """Runs the program with the arguments of the command line."""
    # Writing into a pipe that nobody reads any more (| head) ends the program without a word.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if isinstance(sys.stdout, TextIOWrapper):
        # Names that the terminal's encoding does not have are spelled out.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(calltrace, NAME, sys.argv[1:]))


if __name__ == "__main__":
    main()
