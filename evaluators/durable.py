"""Files that a power loss cannot halve: the content reaches the disk before the name does."""

from __future__ import annotations

import os
from pathlib import Path


def replace_durably(finished: Path, path: Path) -> None:
    """Move a finished file, or a folder of files, to ``path``: a power loss leaves the old or the new, whole.

    Without a sync, a file system may keep the new name and not yet its content.

    Raises:
        OSError: if the disk refuses.
    """
    parts = [finished]
    if finished.is_dir():
        parts += [part for part in finished.rglob("*") if not part.is_symlink()]
    for part in parts:
        sync(part)
    finished.replace(path)
    sync(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, whose name is on the disk."""
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        sync(path.parent)


def sync(path: Path) -> None:
    """Have on the disk what was written to a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
