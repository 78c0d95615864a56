"""An event log in memory, for simulations and tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

from results.log.event_log import Clock
from results.log.events import Content, Event, encoded


class MemoryLog:
    """What a controller writes its events to where nothing is to be kept.

    ``events`` are those of an earlier log to go on from; ``clock`` gives seconds since 1970.
    """

    def __init__(
        self, events: Iterable[Event] = (), *, clock: Callable[[], float] | None = None
    ) -> None:
        self.events = list(events)
        self._clock = clock or Clock()

    def commit(self, contents: Sequence[Content]) -> list[Event]:
        """Add events, all or none, and return them; raises ``TypeError`` for data that JSON does not have."""
        rows = [encoded(content) for content in contents]
        now = self._clock()
        place = len(self.events)
        added = [
            Event(number, now, kind, trial, json.loads(text))
            for number, (kind, trial, text) in enumerate(rows, start=place + 1)
        ]
        self.events += added
        return added

    def transaction(self) -> AbstractContextManager[None]:
        """Nothing is to be made durable."""
        return nullcontext()

    def __iter__(self) -> Iterator[Event]:
        """All events up to now, oldest first."""
        return iter(list(self.events))
