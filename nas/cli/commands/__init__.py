"""The commands of the command line: one short function each, no logic.

Nothing heavy is imported until a command runs, so that the help appears at once.
"""

from nas.cli.commands import choosing, delivering, searching, shell, training
from nas.cli.commands.app import main

__all__ = ["choosing", "delivering", "main", "searching", "shell", "training"]
