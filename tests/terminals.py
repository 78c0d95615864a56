"""A terminal of a given size, to look at what a person would see there."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

RUNNER = """
import sys
import run_search

for words in map(str.split, sys.argv[1:]):
    print("$", *words, flush=True)
    try:
        run_search.main(words)
    except SystemExit as end:
        print("=", end.code or 0, flush=True)
"""
"""All commands in one process, since importing takes longer than running."""


def shown(
    commands: Sequence[str], folder: Path, columns: int, **variables: str
) -> dict[str, tuple[int, str]]:
    """Exit code and screen of each command (words parted by blanks), on a terminal ``columns`` wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    # the size is the terminal's own, whatever a library has put into the environment
    set_elsewhere = {"NO_COLOR", "COLUMNS", "LINES"}
    kept = {k: value for k, value in os.environ.items() if k not in set_elsewhere}
    environment = kept | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"} | variables
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNER, *commands],
        cwd=folder,
        env=environment | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    text = _read(ours).decode(errors="strict").replace("\r\n", "\n")
    assert process.wait() == 0, text
    found = {}
    for part in text.split("$ ")[1:]:
        words, _, rest = part.partition("\n")
        screen, _, code = rest.rpartition("= ")
        found[words] = int(code), screen
    return found


ROOT = Path(__file__).parents[1]


def _read(end: int) -> bytes:
    """All that is written, until the other end is closed."""
    parts = []
    while True:
        try:
            part = os.read(end, 65536)
        except OSError:  # how Linux says that nobody is left to write
            part = b""
        if not part:
            os.close(end)
            return b"".join(parts)
        parts.append(part)
