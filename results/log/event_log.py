"""The event log: what happened in a search, in order, in one append-only SQLite file."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from results import strict_json
from results.log.events import SCHEMA_VERSION, Content, Event, encoded, event_of, lift

Result = TypeVar("Result")
READER_WAIT_SECONDS = 30.0
"""How long a reader waits for a log that another process holds."""
WRITER_WAIT_SECONDS = 600.0
"""The same for the writer: a search should outlive a backup that holds its log."""
DAMAGE = ("SQLITE_CORRUPT", "SQLITE_FORMAT", "SQLITE_ERROR", "SQLITE_NOTADB", "")
"""SQLite's errors that tell of bad content. Any other (busy, no memory, disk) may be gone the next moment."""
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
        self._offset = max(time.time(), not_before) - time.monotonic()

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
            version = _version(self._connection)
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
                [(e.time, e.kind, e.trial, strict_json.dumps(e.data)) for e in events]
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


class DamagedLogError(ValueError):
    """A log that is one, of which part cannot be read; ``results.log.salvage`` gets at the rest."""


def read_events(path: str | Path) -> list[Event]:
    """All events of the log at ``path``, oldest first, while a writer may be at work; changes nothing.

    Raises ``ValueError`` naming the file if it is missing or no event log that this version knows,
    ``DamagedLogError`` if part of it is damaged, ``OSError`` if another process holds it for too long.
    """
    return read(path, lambda connection: _read_all(connection, Path(path)))


def last_event(path: str | Path) -> tuple[int, float] | None:
    """Number and time of the newest event, None in an empty log; raises as ``read_events``, and at once."""
    newest = "SELECT id, time FROM events ORDER BY id DESC LIMIT 1"
    rows = read(path, lambda connection: connection.execute(newest).fetchall())
    return rows[0] if rows else None


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
    rows = connection.execute(
        "SELECT id, time, kind, trial, data FROM events ORDER BY id"
    ).fetchall()
    try:
        events = [event_of(row) for row in rows]
    except ValueError as error:
        raise DamagedLogError(f"{path}: the event log is damaged ({error})") from error
    return list(lift(events, _version(connection)))
