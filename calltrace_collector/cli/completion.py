"""calltrace completion: the script by which a shell completes commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from calltrace_collector.cli.options import common
from calltrace_collector.errors import CalltraceError

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@common
@click.pass_context
def completion(context: click.Context, db: str | None, shell: str) -> None:  # noqa: ARG001 every command takes --db
    """Print the script that makes SHELL complete this program's commands and options.

    \b
    Examples:
      eval "$(calltrace completion bash)"               # in ~/.bashrc
      eval "$(calltrace-collector completion bash)"     # for the other program
      eval "$(calltrace completion zsh)"                # in ~/.zshrc
      calltrace completion fish > ~/.config/fish/completions/calltrace.fish
    """  # noqa: D301 click's mark for text that is not to be filled
    program = context.find_root()
    name = program.info_name or "calltrace"
    generator = get_completion_class(shell)
    if generator is None:
        raise CalltraceError(f"no completion for {shell}: choose one of {', '.join(SHELLS)}")
    variable = f"_{name}_COMPLETE".replace("-", "_").upper()
    click.echo(generator(program.command, {}, name, variable).source())
