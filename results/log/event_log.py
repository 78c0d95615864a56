"""The event log: what happened in a search, in order, in one append-only SQLite file."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from results import strict_json
from results.log.events import SCHEMA_VERSION, Event, event_of, lift

Result = TypeVar("Result")
_LOCK_WAIT_SECONDS = 30.0
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE events (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, kind TEXT NOT NULL, trial INTEGER, data TEXT NOT NULL
);
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""


class EventLog:
    """The writer's side of a log: every ``append`` is on disk when it returns.

    Creates the file or continues it. May be shared by the threads of one process; readers in any process use
    ``read_events`` meanwhile. SQLite's rollback journal is kept (no WAL), so that the log works on network
    file systems and is a single file between appends.

    Raises ``ValueError`` for a file that is no event log of this version, ``OSError`` where it cannot be
    written.
    """

    def __init__(self, path: str | Path, *, clock: Callable[[], float] = time.time) -> None:
        self.path = Path(path)
        self._clock = clock
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(
                self.path, timeout=_LOCK_WAIT_SECONDS, isolation_level=None, check_same_thread=False
            )
        except sqlite3.OperationalError as error:
            raise OSError(f"{self.path}: cannot open the event log ({error})") from error
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        try:
            # EXTRA also syncs the folder after the journal is gone: a commit survives a power loss.
            self._connection.execute("PRAGMA synchronous = EXTRA")
            if not self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                self._connection.executescript(_SCHEMA)
            version = _version(self._connection)
            check_version(version, self.path)
            if version < SCHEMA_VERSION:
                raise ValueError(
                    f"{self.path}: written by an older version of this program (schema version {version}, now "
                    f"{SCHEMA_VERSION}): it can be read, but only that version can continue it"
                )
        except sqlite3.OperationalError as error:
            raise OSError(f"{self.path}: cannot write the event log ({error})") from error
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{self.path}: not an event log ({error})") from error

    def append(self, kind: str, /, trial: int | None = None, **data: Any) -> None:
        """Add one event, durably. NaN and infinities in ``data`` are stored as missing.

        Raises ``TypeError`` for data that JSON does not have, ``OSError`` where the disk refuses.
        """
        text = strict_json.dumps(data)
        with self._lock:
            row = (self._clock(), kind, trial, text)
            try:
                self._connection.execute(
                    "INSERT INTO events (time, kind, trial, data) VALUES (?, ?, ?, ?)", row
                )
            except sqlite3.DatabaseError as error:
                raise OSError(f"{self.path}: cannot append to the event log ({error})") from error

    def __iter__(self) -> Iterator[Event]:
        """All events up to now, oldest first."""
        with self._lock:
            events = _read_all(self._connection, self.path)
        return iter(events)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def __enter__(self) -> "EventLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class DamagedLogError(ValueError):
    """A log that is one, of which part cannot be read; ``results.log.salvage`` gets at the rest."""


def read_events(path: str | Path) -> list[Event]:
    """All events of the log at ``path``, oldest first, while a writer may be at work; changes nothing.

    Raises ``ValueError`` naming the file if it is missing or no event log that this version knows, and
    ``DamagedLogError`` if part of it cannot be read.
    """
    return read(path, lambda connection: _read_all(connection, Path(path)))


def last_event(path: str | Path) -> tuple[int, float] | None:
    """Number and time of the newest event, None in an empty log; raises as ``read_events``, and at once."""
    newest = "SELECT id, time FROM events ORDER BY id DESC LIMIT 1"
    rows = read(path, lambda connection: connection.execute(newest).fetchall())
    return rows[0] if rows else None


def read(path: str | Path, query: Callable[[sqlite3.Connection], Result], *setup: str) -> Result:
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
        no_log = getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB"
        reason = str(error).partition(" with text ")[0]  # SQLite quotes what it cannot decode
        kind = ValueError if no_log else DamagedLogError
        raise kind(f"{path}: cannot be read as an event log ({reason})") from error


def _query(
    path: Path, mode: str, query: Callable[[sqlite3.Connection], Result], setup: Iterable[str]
) -> Result:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=_LOCK_WAIT_SECONDS)) as connection:
        for statement in setup:
            connection.execute(statement)
        check_version(_version(connection), path)
        return query(connection)


def _version(connection: sqlite3.Connection) -> int:
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


def _read_all(connection: sqlite3.Connection, path: Path) -> list[Event]:
    rows = connection.execute("SELECT id, time, kind, trial, data FROM events ORDER BY id").fetchall()
    try:
        events = [event_of(row) for row in rows]
    except ValueError as error:
        raise DamagedLogError(f"{path}: the event log is damaged ({error})") from error
    return list(lift(events, _version(connection)))
