"""Files that are either the old or the new one, never half of it."""

import os
from pathlib import Path
from uuid import uuid4


def write_atomic(path: str | Path, content: bytes | str) -> None:
    """Replace the file at ``path`` by ``content`` (text as UTF-8) in one step.

    A reader, or the next start after a crash, sees the old file or the new one. Raises ``OSError`` (full
    disk, read-only or missing folder), and then leaves the old file as it was and nothing beside it.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    # same folder: a rename cannot cross file systems
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            # Else a power loss could leave the new name with an empty file.
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:  # Ctrl-C too must leave nothing behind
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
