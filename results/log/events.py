"""What an event is, and how events of older versions of this program are read."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """One entry of the log. ``time`` is in seconds since 1970 (UTC); ``data`` holds JSON values."""

    id: int
    time: float
    kind: str
    trial: int | None
    data: dict[str, Any]


def event_of(row: Iterable[Any]) -> Event:
    """The event in a row of the log; ``ValueError`` if it is none, as where bytes were overwritten."""
    number, when, kind, trial, text = row
    data = json.loads(text) if isinstance(text, str) else None
    if not (isinstance(when, float) and isinstance(kind, str) and isinstance(data, dict)):
        raise ValueError(f"event {number} is not whole")
    if not (trial is None or isinstance(trial, int)):
        raise ValueError(f"event {number} is of trial {trial!r}, which is no number")
    return Event(number, when, kind, trial, data)


Lift = Callable[[Event], Event]
"""Turns an event of one schema version into what the next would have written."""

LIFTS: tuple[Lift, ...] = ()
"""From version 1 to 2, from 2 to 3, …: a change of what events mean appends its lift here.

A new kind of event, or a new key that may be missing, needs none.
"""

SCHEMA_VERSION = len(LIFTS) + 1


def lift(events: Iterable[Event], version: int, lifts: Sequence[Lift] = LIFTS) -> Iterator[Event]:
    """Events written in ``version``, as the newest version would have written them."""
    for event in events:
        for step in lifts[version - 1 :]:
            event = step(event)
        yield event
