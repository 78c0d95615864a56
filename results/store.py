"""The event log: what happened in a search, in order, in one append-only SQLite file."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from results import strict_json

SCHEMA_VERSION = 1
_LOCK_WAIT_SECONDS = 30.0
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE events (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, kind TEXT NOT NULL, trial INTEGER, data TEXT NOT NULL
);
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""


@dataclass(frozen=True)
class Event:
    """One entry of the log. ``time`` is in seconds since 1970 (UTC); ``data`` holds JSON values."""

    id: int
    time: float
    kind: str
    trial: int | None
    data: dict[str, Any]


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
            _check_version(self._connection, self.path)
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


def read_events(path: str | Path) -> list[Event]:
    """All events of the log at ``path``, oldest first, while a writer may be at work; changes nothing.

    Raises ``ValueError`` naming the file if it is missing, damaged or no event log of this version.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such event log")
    try:
        try:
            return _read(path, mode="ro")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_READONLY_ROLLBACK":
                raise
            # The writer was killed inside a transaction: only a connection that may write can roll that back.
            return _read(path, mode="rw")
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{path}: cannot be read as an event log ({error})") from error


def _read(path: Path, mode: str) -> list[Event]:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=_LOCK_WAIT_SECONDS)) as connection:
        _check_version(connection, path)
        return _read_all(connection, path)


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"{path}: not an event log this program knows (schema version {version}, not {SCHEMA_VERSION})"
        )


def _read_all(connection: sqlite3.Connection, path: Path) -> list[Event]:
    rows = connection.execute("SELECT id, time, kind, trial, data FROM events ORDER BY id").fetchall()
    try:
        return [
            Event(number, when, kind, trial, json.loads(data)) for number, when, kind, trial, data in rows
        ]
    except ValueError as error:
        raise ValueError(f"{path}: the event log is damaged ({error})") from error
