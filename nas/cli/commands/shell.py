"""What makes the command line at home in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from nas.cli.commands.app import command, main

HOMES = {
    "bash": "~/.bashrc",
    "zsh": "~/.zshrc",
    "fish": "~/.config/fish/completions/splitsearch.fish",
}
"""Where each shell looks for its completions."""


@command("completion bash >> ~/.bashrc")
@click.argument("shell", type=click.Choice(list(HOMES)))
def completion(shell: str) -> None:
    """Print what lets a shell complete commands, options and files of splitsearch.

    Append it to the file that the shell reads when it starts.
    """
    found = get_completion_class(shell)
    if found is None:
        raise ValueError(f"completion: click has none for {shell}")
    script = found(main, {}, "splitsearch", "_SPLITSEARCH_COMPLETE").source()
    click.echo(f"# splitsearch: kept in {HOMES[shell]}\n{script}")
