"""The event log: what happened in a search, in order, in one append-only SQLite file."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from results import strict_json
from results.log.events import SCHEMA_VERSION, Content, Event, encoded, event_of, lift
from results.log.reading import DamagedLogError, check_version, read, version_of

WRITER_WAIT_SECONDS = 600.0
"""The same for the writer: a search should outlive a backup that holds its log."""
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE events (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, kind TEXT NOT NULL, trial INTEGER, data TEXT NOT NULL
);
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""


class Log(Protocol):
    """What a controller needs of a log: ``EventLog`` is one on disk, ``MemoryLog`` one in memory."""

    def commit(self, contents: Sequence[Content]) -> list[Event]:
        """Add events, all or none, and return them as any reader will find them."""

    def transaction(self) -> AbstractContextManager[None]:
        """What is committed inside is kept together when the block ends, however it ends."""

    def __iter__(self) -> Iterator[Event]: ...


class Clock:
    """Seconds since 1970 that never go back: set once by the wall clock, then counted by the monotonic one."""

    def __init__(self, not_before: float = 0.0) -> None:
        # A log that goes on on another node, or after the clock was set back, stays in order.
        now = max(time.time(), not_before)
        self._offset = now - time.monotonic()

    def __call__(self) -> float:
        return self._offset + time.monotonic()


_INSERT = "INSERT INTO events (time, kind, trial, data) VALUES (?, ?, ?, ?)"


class EventLog:
    """The writer's side of a log: what ``commit`` and ``append`` were given is on disk when they return.

    Creates the file or continues it. May be shared by the threads of one process; readers in any process use
    ``read_events`` meanwhile. SQLite's rollback journal is kept (no WAL), so that the log works on network
    file systems and is a single file between appends.

    Raises ``ValueError`` for a file that is no event log of this version, ``OSError`` where it cannot be
    written.
    """

    def __init__(
        self, path: str | Path, *, clock: Callable[[], float] | None = None
    ) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(
                self.path,
                timeout=WRITER_WAIT_SECONDS,
                # transactions are begun and ended here, not by Python's sqlite3
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.OperationalError as error:
            raise OSError(
                f"{self.path}: cannot open the event log ({error})"
            ) from error
        try:
            newest = self._prepare()
            self._clock = clock or Clock(newest)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> float:
        """Make the table if there is none; the time of the newest event."""
        try:
            # EXTRA also syncs the folder after the journal is gone: a commit survives a power loss.
            self._connection.execute("PRAGMA synchronous = EXTRA")
            tables = "SELECT count(*) FROM sqlite_master"
            if not self._connection.execute(tables).fetchone()[0]:
                self._connection.executescript(_SCHEMA)
            version = version_of(self._connection)
            check_version(version, self.path)
            if version < SCHEMA_VERSION:
                raise ValueError(
                    f"{self.path}: written by an older version of this program (schema version {version}, now "
                    f"{SCHEMA_VERSION}): it can be read, but only that version can continue it"
                )
            newest = self._connection.execute("SELECT max(time) FROM events").fetchone()
            return newest[0] if isinstance(newest[0], float) else 0.0
        except sqlite3.OperationalError as error:
            raise OSError(
                f"{self.path}: cannot write the event log ({error})"
            ) from error
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{self.path}: not an event log ({error})") from error

    def commit(self, contents: Sequence[Content]) -> list[Event]:
        """Add events, all or none, and return them as any reader will find them.

        They are on disk on return; inside a ``transaction``, when that ends. NaN and infinities
        become None.

        Raises ``TypeError`` for data that JSON does not have, ``OSError`` where the disk refuses.
        """
        # before the transaction: what JSON does not have must not leave half a commit
        texts = [encoded(content) for content in contents]
        with self._lock:
            now = self._clock()
            return self._insert([(now, *text) for text in texts])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One sync for all that is committed inside, on disk when the block ends, however it ends.

        Other writers wait meanwhile, readers see nothing of it. Raises ``OSError`` where the disk
        refuses, and then nothing of it is kept.
        """
        with self._lock, self._written_at_once():
            yield

    def append(self, kind: str, /, trial: int | None = None, **data: object) -> None:
        """Add one event as it is, of any kind; raises as ``commit``."""
        text = strict_json.dumps(data)
        with self._lock:
            self._insert([(self._clock(), kind, trial, text)])

    def restore(self, events: Iterable[Event]) -> None:
        """Add events of another log as they are, with their times, but numbers of this one."""
        with self._lock:
            self._insert(
                [
                    (event.time, event.kind, event.trial, strict_json.dumps(event.data))
                    for event in events
                ]
            )

    def _insert(
        self, rows: Sequence[tuple[float, str, int | None, str]]
    ) -> list[Event]:
        with self._written_at_once(), self._whole():
            numbers = [self._execute(_INSERT, row).lastrowid for row in rows]
        return [
            Event(int(number or 0), when, kind, trial, json.loads(text))
            for number, (when, kind, trial, text) in zip(numbers, rows, strict=True)
        ]

    @contextmanager
    def _written_at_once(self) -> Iterator[None]:
        """A transaction of SQLite's, unless one is under way, which then commits this too."""
        if self._connection.in_transaction:
            yield
            return
        # IMMEDIATE: to take the write lock later could fail at once, with "busy"
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            # A full disk has ended the transaction already, and is on its way up as an error.
            try:
                if self._connection.in_transaction:
                    self._execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """All of a block's rows or, if it does not come to its end, none."""
        self._execute("SAVEPOINT whole")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:
                self._execute("ROLLBACK TO whole")
            raise
        if self._connection.in_transaction:
            self._execute("RELEASE whole")

    def _execute(self, statement: str, row: Sequence[object] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, row)
        except sqlite3.DatabaseError as error:
            raise OSError(
                f"{self.path}: cannot append to the event log ({error})"
            ) from error

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

    def __exit__(self, *error: object) -> None:
        self.close()


def read_events(path: str | Path) -> list[Event]:
    """All events of the log at ``path``, oldest first, while a writer may be at work; changes nothing.

    Raises ``ValueError`` naming the file if it is missing or no event log that this version knows,
    ``DamagedLogError`` if part of it is damaged, ``OSError`` if another process holds it for too long.
    """
    return read(path, lambda connection: _read_all(connection, Path(path)))


def last_event(path: str | Path) -> tuple[int, float] | None:
    """Number and time of the newest event, None in an empty log; raises as ``read_events``, and at once."""
    newest = "SELECT id, time FROM events ORDER BY id DESC LIMIT 1"

    def query(connection: sqlite3.Connection) -> list[tuple[int, float]]:
        return connection.execute(newest).fetchall()

    rows = read(path, query)
    return rows[0] if rows else None


def _read_all(connection: sqlite3.Connection, path: Path) -> list[Event]:
    rows = connection.execute(
        "SELECT id, time, kind, trial, data FROM events ORDER BY id"
    ).fetchall()
    try:
        events = [event_of(row) for row in rows]
    except ValueError as error:
        raise DamagedLogError(f"{path}: the event log is damaged ({error})") from error
    return list(lift(events, version_of(connection)))
