"""All commands of both programs: what they take and what their help says."""

import importlib
import subprocess
import sys

import click
import pytest

from calltrace_collector import __version__
from calltrace_collector.cli.calltrace import calltrace
from calltrace_collector.cli.collector import collector
from calltrace_collector.cli.commands import CommandList
from calltrace_collector.cli.run import run

assert isinstance(calltrace, CommandList)
assert isinstance(collector, CommandList)
PROGRAMS: list[CommandList] = [calltrace, collector]
COMMANDS = [(program, name) for program in PROGRAMS for name in program.entries]
EVERY_COMMAND = pytest.mark.parametrize(("program", "name"), COMMANDS, ids=[name for _, name in COMMANDS])


def command_of(program: CommandList, name: str) -> click.Command:
    command = program.get_command(click.Context(program), name)
    assert command is not None
    return command


@EVERY_COMMAND
def test_takes_db_and_debug(program: CommandList, name: str) -> None:
    options = {option: each for each in command_of(program, name).params for option in each.opts}
    assert options["--db"].envvar == "CALLTRACE_DB"
    assert "--debug" in options


@EVERY_COMMAND
def test_help(program: CommandList, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.name
    assert run(program, program.name, [name, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Examples:\n" in text
    assert program.name in text.partition("Examples:\n")[2]
    for parameter in command_of(program, name).params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help
            assert parameter.help.endswith(".")


@EVERY_COMMAND
def test_its_name_is_the_lists(program: CommandList, name: str) -> None:
    assert command_of(program, name).name == name


@pytest.mark.parametrize("program", PROGRAMS, ids=["calltrace", "collector"])
def test_version(program: CommandList, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.name
    assert run(program, program.name, ["--version"]) == 0
    assert capsys.readouterr().out == f"{program.name}, version {__version__}\n"


@pytest.mark.parametrize("module", ["calltrace", "collector"])
def test_help_needs_no_database_and_no_grpc(module: str) -> None:
    name = f"calltrace_collector.cli.{module}"
    importlib.import_module(name)
    code = (
        f"import sys; import {name} as program; from click.testing import CliRunner; "
        f"CliRunner().invoke(program.{module}, ['--help'], catch_exceptions=False); "
        "print([each for each in ('sqlalchemy', 'grpc', 'numpy') if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(calltrace, "calltrace", ["completion", shell]) == 0
    assert "_CALLTRACE_COMPLETE" in capsys.readouterr().out
    assert run(collector, "calltrace-collector", ["completion", shell]) == 0
    assert "_CALLTRACE_COLLECTOR_COMPLETE" in capsys.readouterr().out


def test_the_shell_is_told_commands_and_options() -> None:
    for words, expected in (("calltrace q", "query"), ("calltrace query --min", "--min-duration")):
        done = subprocess.run(
            [sys.executable, "-m", "calltrace_collector.cli.calltrace"],
            env={
                "_CALLTRACE_COMPLETE": "bash_complete",
                "COMP_WORDS": words,
                "COMP_CWORD": str(len(words.split()) - 1),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == f"plain,{expected}\n"


def test_a_shell_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(calltrace, "calltrace", ["completion", "dos"]) == 2
    assert "'dos' is not one of 'bash', 'zsh', 'fish'" in capsys.readouterr().err
