"""A log whose driver may die at any transaction."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from results import Event, MemoryLog
from results.log.events import Content


class Killed(BaseException):
    """The driver is gone."""


class MortalLog(MemoryLog):
    """Kills its driver before or after a transaction, by chance; what was in it before is not kept."""

    def __init__(
        self, events: list[Event], rng: random.Random, kill: float, clock: list[float]
    ) -> None:
        super().__init__(clock=lambda: clock[0])
        self.events = events
        self._rng = rng
        self._kill = kill
        self._open = False

    def commit(self, contents: Sequence[Content]) -> list[Event]:
        with self.transaction():
            return super().commit(contents)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self._open:
            yield
            return
        self._open = True
        durable = len(self.events)
        fate = self._rng.random()
        try:
            yield
            # nothing was written: there is no moment at which a kill would matter
            if len(self.events) == durable:
                return
            # killed before the disk had it: half of the kills, the other half after
            if fate < self._kill / 2:
                raise Killed
        except Killed:
            del self.events[durable:]
            raise
        finally:
            self._open = False
        if fate < self._kill:
            raise Killed
