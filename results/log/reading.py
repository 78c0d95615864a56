"""A log opened to be read: by a second process, of any version that is known, damaged or not."""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from results.log.events import SCHEMA_VERSION

Result = TypeVar("Result")
READER_WAIT_SECONDS = 30.0
"""How long a reader waits for a log that another process holds."""
DAMAGE = ("SQLITE_CORRUPT", "SQLITE_FORMAT", "SQLITE_ERROR", "SQLITE_NOTADB", "")
"""SQLite's errors that tell of bad content. Any other (busy, no memory, disk) may be gone the next moment."""


class DamagedLogError(ValueError):
    """A log that is one, of which part cannot be read; ``results.log.salvage`` gets at the rest."""


def read(
    path: str | Path, query: Callable[[sqlite3.Connection], Result], *setup: str
) -> Result:
    """What ``query`` finds in the log at ``path``, after the statements ``setup``; raises as ``read_events``."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such event log")
    try:
        try:
            return _query(path, "ro", query, setup)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorname", "") != "SQLITE_READONLY_ROLLBACK":
                raise
            # The writer was killed inside a transaction: only a connection that may write can roll that back.
            return _query(path, "rw", query, setup)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise OSError(
                f"{path}: the event log cannot be read now ({error})"
            ) from error
        no_log = getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB"
        # SQLite quotes what it cannot decode
        reason = str(error).partition(" with text ")[0]
        kind = ValueError if no_log else DamagedLogError
        raise kind(f"{path}: cannot be read as an event log ({reason})") from error


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether it tells of bad content, not of a log that is held by another process or out of reach."""
    name: str = getattr(error, "sqlite_errorname", "")
    return name in DAMAGE or name.startswith("SQLITE_CORRUPT")


def _query(
    path: Path,
    mode: str,
    query: Callable[[sqlite3.Connection], Result],
    setup: Iterable[str],
) -> Result:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    with closing(
        sqlite3.connect(uri, uri=True, timeout=READER_WAIT_SECONDS)
    ) as connection:
        for statement in setup:
            connection.execute(statement)
        check_version(version_of(connection), path)
        return query(connection)


def version_of(connection: sqlite3.Connection) -> int:
    """The version of the schema that a log was written in."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def check_version(version: int, path: Path) -> None:
    """Raise ``ValueError`` for a log of a version that cannot be read."""
    if version > SCHEMA_VERSION:
        raise ValueError(
            f"{path}: written by a newer version of this program (schema version {version}, not "
            f"{SCHEMA_VERSION}): update it to read this log"
        )
    if version < 1:
        raise ValueError(f"{path}: not an event log (schema version {version})")
