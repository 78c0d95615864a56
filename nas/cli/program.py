"""The command as it works from the shell that called it."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path


def program() -> str:
    """``splitsearch``, with the path to it where the shell would find none or another one.

    In a clone that was never installed it is ``python run_search.py``.
    """
    # a virtual environment's python is a link: unresolved, it stands beside the command
    own = Path(sys.executable).with_name("splitsearch")
    if not own.exists():
        return "python run_search.py"
    if shutil.which("splitsearch") == str(own):
        return "splitsearch"
    here = Path.cwd()
    inside = own.is_relative_to(here)
    return shlex.quote(str(own.relative_to(here) if inside else own))


def as_typed(*words: object) -> str:
    """``splitsearch WORDS`` as a line to copy into that shell: a folder with a space in its name is quoted."""
    return f"{program()} {shlex.join(map(str, words))}"
