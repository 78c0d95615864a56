"""Latencies measured once and kept: an SQLite file that processes and searches share."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from evaluators.data.user_cache import cache_folder
from evaluators.lease import alone

TABLE_VERSION = 2
WAIT_SECONDS = 60.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS latency (
    signature TEXT, part TEXT, milliseconds REAL NOT NULL, PRIMARY KEY (signature, part)
) WITHOUT ROWID
"""


def default_table() -> Path:
    """In the cache folder, which ``$SPLITSEARCH_CACHE`` may name."""
    return cache_folder() / "latency.db"


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds by device signature (settings and input shape included) and part of a network."""

    path: Path

    def get(self, signature: str, part: str, measure: Callable[[], float]) -> float:
        """What the table says; else what ``measure`` says, from then on.

        Of several processes that want to measure at once, one does at a time, and none what another just has.

        Raises:
            ValueError: if the file is no latency table, or one of another version.
        """
        known = self._find(signature, part)
        if known is not None:
            return known
        with alone(self.path.with_name(self.path.name + ".lock")):
            known = self._find(signature, part)
            if known is None:
                known = measure()
                with self._connection() as connection:
                    connection.execute(
                        "INSERT INTO latency VALUES (?, ?, ?)", (signature, part, known)
                    )
            return known

    def __len__(self) -> int:
        with self._connection() as connection:
            return int(connection.execute("SELECT count(*) FROM latency").fetchone()[0])

    def _find(self, signature: str, part: str) -> float | None:
        question = "SELECT milliseconds FROM latency WHERE signature = ? AND part = ?"
        with self._connection() as connection:
            row = connection.execute(question, (signature, part)).fetchone()
        return None if row is None else float(row[0])

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with (
                closing(sqlite3.connect(self.path, timeout=WAIT_SECONDS)) as connection,
                connection,
            ):
                self._check_version(connection)
                yield connection
        except sqlite3.Error as error:
            raise ValueError(
                f"{self.path}: cannot be used as a latency table ({error})"
            ) from error

    def _check_version(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > TABLE_VERSION:
            raise ValueError(
                f"{self.path}: a latency table of version {version}, this is {TABLE_VERSION}; delete it"
            )
        if version < TABLE_VERSION:  # a cache: what it kept means something else by now
            connection.execute("DROP TABLE IF EXISTS latency")
            connection.execute(SCHEMA)
            connection.execute(f"PRAGMA user_version = {TABLE_VERSION}")
