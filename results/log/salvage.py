"""What can still be read of a damaged event log: a bad disk, a file cut off, an interrupted copy.

Rows are read in order up to one that SQLite cannot read.
Behind it, steps that double find a readable row, and bisection the first one.
A search goes on from these without the trials that a gap may have touched.
"""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from results.log.event_log import EventLog, read_events
from results.log.events import Event, Proposed, Retrained, event_of, lift
from results.log.reading import DamagedLogError, is_damage, read, version_of
from results.log.record import TrialRecord

FARTHEST = 2**40
"""Events behind the last readable one at which the search for more is given up."""

_ROWS = "SELECT id, time, kind, trial, data FROM events WHERE id > ? ORDER BY id"
# SQLite else refuses a file that is shorter than its header says.
_LENIENT = "PRAGMA writable_schema = ON"


def surviving_events(path: str | Path) -> tuple[list[Event], str | None]:
    """The events of the log at ``path`` and, if some are lost, which and why, in words.

    Raises ``ValueError`` as ``read_events``, for a damaged log only where nothing can be read.
    """
    try:
        return read_events(path), None
    except DamagedLogError:
        survivors, end_known = read(path, _survivors, _LENIENT)
        if not survivors:
            raise
        lost = _losses([event.id for event in survivors], end_known)
        return survivors, f"the event log is damaged: {lost} could not be read"


def usable_events(path: str | Path) -> list[Event]:
    """The events that a search can go on from: all, or those that ``mend`` keeps; raises as it does."""
    events, damage = surviving_events(path)
    return events if damage is None else list(_consistent(events))


def mend(path: Path) -> str | None:
    """Replace a damaged log by what is left of it that can be gone on from, and say what is lost.

    A trial that was under way where events are missing keeps those before; one whose beginning is missing is
    dropped. The damaged file stays beside as ``events.db.damaged``. None if the log is whole.
    """
    events, damage = surviving_events(path)
    if damage is None:
        return None
    kept = list(_consistent(events))
    mended = path.with_name(path.name + ".mended")
    mended.unlink(missing_ok=True)
    with EventLog(mended) as log:
        log.restore(kept)
    # There is a log at every moment, the damaged or the mended one.
    shutil.copyfile(path, path.with_name(path.name + ".damaged"))
    # A journal of the damaged log would be rolled back into the mended one.
    path.with_name(path.name + "-journal").unlink(missing_ok=True)
    mended.replace(path)
    return damage


def _consistent(events: Sequence[Event]) -> Iterator[Event]:
    """The events without those of trials that a loss may have touched, from the loss on."""
    under_way: dict[int, TrialRecord] = {}
    known: set[int | None] = {None}
    place = 0
    for event in events:
        if event.id != place + 1:
            under_way.clear()  # of a trial in a gap, what it has lost is not known
        place = event.id
        if isinstance(event.content, Proposed) and event.trial is not None:
            under_way[event.trial] = TrialRecord(event.trial)
            known.add(event.trial)
        if isinstance(event.content, Retrained) or event.trial is None:
            # what came of a network later belongs to no trial under way
            if event.trial in known:
                yield event
        elif record := under_way.get(event.trial):
            record.apply(event)
            if record.status.over:
                del under_way[event.trial]
            yield event


def _survivors(connection: sqlite3.Connection) -> tuple[list[Event], bool]:
    rows, end_known = _readable_rows(connection)
    events = []
    for row in rows:
        with suppress(ValueError):
            events.append(event_of(row))
    return list(lift(events, version_of(connection))), end_known


def _readable_rows(
    connection: sqlite3.Connection,
) -> tuple[list[tuple[Any, ...]], bool]:
    """The rows that SQLite can read, around those it cannot, and whether it came to the end."""
    rows: list[tuple[Any, ...]] = []
    place: int | None = 0
    while place is not None:
        try:
            # an error comes in the middle of this loop: place is then the last good row
            for row in _rows_after(connection, place):
                place = row[0]
                rows.append(row)
            return rows, True
        except sqlite3.DatabaseError as error:
            _only_damage(error)
            place = _next_readable(connection, place)
    return rows, False


def _rows_after(
    connection: sqlite3.Connection, place: int
) -> Iterator[tuple[Any, ...]]:
    """Rows with numbers above ``place``; ``sqlite3.DatabaseError`` where they cannot be read or do not rise."""
    for row in connection.execute(_ROWS, (place,)):
        if not place < row[0] < place + FARTHEST:
            raise sqlite3.DatabaseError(f"number {row[0]} after {place}")
        place = row[0]
        yield row


def _next_readable(connection: sqlite3.Connection, place: int) -> int | None:
    """The number before the next readable row after the unreadable one behind ``place``; None at the end."""
    step = 1
    while not _can_read(connection, place + step):
        # a damaged page holds tens of rows, a damaged file thousands: doubling finds
        # the far side in few tries
        step *= 2
        if step > FARTHEST:
            return None
    bad = place + step // 2
    good = place + step
    # between an unreadable place and a readable one lies the border
    while good - bad > 1:
        middle = (bad + good) // 2
        bad, good = (bad, middle) if _can_read(connection, middle) else (middle, good)
    return good


def _can_read(connection: sqlite3.Connection, place: int) -> bool:
    try:
        next(_rows_after(connection, place), None)
    except sqlite3.DatabaseError as error:
        _only_damage(error)
        return False
    return True


def _only_damage(error: sqlite3.DatabaseError) -> None:
    """Raise an error that does not tell of damage: what cannot be read now must not be given up."""
    if not is_damage(error):
        raise error


def _losses(numbers: Sequence[int], end_known: bool) -> str:
    """Which events are missing: a log numbers them from 1 without gaps."""
    steps = pairwise([0, *numbers])
    gaps = [(a + 1, b - 1) for a, b in steps if b - a > 1]
    lost = [f"event {a}" if a == b else f"events {a} to {b}" for a, b in gaps[:5]]
    lost += ["others between"] if len(gaps) > 5 else []
    lost += [] if end_known and lost else [f"whatever came after event {numbers[-1]}"]
    *most, last = lost
    return f"{', '.join(most)} and {last}" if most else last
