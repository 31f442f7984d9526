"""Whatever goes wrong is one line on stderr, and the right exit status."""

import os
from collections.abc import Callable

import click
import pytest

from calltrace_collector.cli.commands import CommandList, Entry
from calltrace_collector.cli.options import common
from calltrace_collector.cli.run import run
from calltrace_collector.errors import NotFoundError, UsageError


def program(command: Callable[[], object]) -> click.Group:
    """A program with one command, `do`, that takes the options of all commands."""

    @click.command("do")
    @common
    def do(db: str | None) -> object:  # noqa: ARG001 every command takes --db
        return command()

    group = click.Group("tool")
    group.add_command(do)
    return group


def fail(error: BaseException) -> click.Group:
    def command() -> None:
        raise error

    return program(command)


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (NotFoundError("no such thing: look elsewhere"), 1, "tool: no such thing: look elsewhere"),
        (NotFoundError("two\n  lines"), 1, "tool: two lines"),
        (UsageError("not so"), 2, "tool: not so"),
        (click.UsageError("Missing this."), 2, "tool: missing this; see tool do --help"),
        (click.FileError("f", "Not there"), 1, "tool: could not open file 'f': Not there"),
        (FileNotFoundError(2, "No such file or directory", "/x"), 1, "tool: /x: No such file or directory"),
        (OSError(28, "No space left on device"), 1, "tool: No space left on device"),
        (
            ZeroDivisionError("by zero"),
            1,
            "tool: this is a bug: ZeroDivisionError: by zero; --debug shows where",
        ),
    ],
)
def test_errors(error: Exception, status: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(fail(error), "tool", ["do"]) == status
    assert capsys.readouterr() == ("", line + "\n")


def test_debug_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(fail(NotFoundError("no such thing")), "tool", ["do", "--debug"]) == 1
    text = capsys.readouterr().err
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("tool: no such thing\n")


def test_an_interrupt_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(fail(KeyboardInterrupt()), "tool", ["do"]) == 130
    assert capsys.readouterr().err.strip() == ""


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (7, 7), ("text", 0)])
def test_a_command_returns_the_exit_status(returned: object, status: int) -> None:
    assert run(program(lambda: returned), "tool", ["do"]) == status


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["do", "--nope"], "tool: no such option '--nope'; see tool do --help"),
        (["do", "more"], "tool: got unexpected extra argument 'more'; see tool do --help"),
        (["dont"], "tool: no such command 'dont'; see tool --help"),
    ],
)
def test_wrong_use(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(program(lambda: None), "tool", arguments) == 2
    # The wording is click's, and its versions differ in quotes and suggestions.
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.split(" ")[:3] == line.split(" ")[:3]
    assert error.endswith(line[line.index("; see") :] + "\n")


def test_without_arguments_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(program(lambda: None), "tool", []) == 2
    assert "Usage: tool [OPTIONS] COMMAND" in capsys.readouterr().err


def test_output_that_cannot_be_written(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 a device
        monkeypatch.setattr("sys.stdout", full)
        status = run(program(lambda: full.write("text")), "tool", ["do"])
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
    assert status == 1
    assert capfd.readouterr().err == "tool: No space left on device\n"


def test_commands_are_imported_when_they_run(capsys: pytest.CaptureFixture[str]) -> None:
    entries = {"ok": Entry("tests.unit.cli.test_run:ok", "Do."), "gone": Entry("no.such.module:x", "Do not.")}
    group = CommandList("tool", entries=entries)
    assert run(group, "tool", ["--help"]) == 0
    assert "ok    Do.\n  gone  Do not.\n" in capsys.readouterr().out
    assert run(group, "tool", ["ok"]) == 5


@click.command("ok")
def ok() -> int:
    """Does nothing."""
    return 5
