"""When an engine commits: what comes while the driver is busy goes into one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nas.controller import Assignment, Controller

PATIENCE = 3.0
"""Pause after a turn, in times that it took: while results keep coming, a driver works a quarter of the time."""
LONGEST_SECONDS = 0.5
"""After so long, a turn ends though more workers are idle, and so does a pause: those that have work begin."""


class Turns:
    """Turns of an engine's loop, each with one commit of all that the controller decides in it.

    ::

        while not controller.over:
            collect results for turns.wait() seconds or, if there are none, until one comes
            with turns.turn():
                answers = [controller.report(...) for each result]
                work = turns.work(idle workers)
            tell the workers

    Results that come one by one are answered at once. Those that come faster than the disk writes, and than a
    sampler proposes, are answered together: they share a commit, and often a fit of the sampler's surrogate.
    """

    def __init__(
        self, controller: Controller, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._controller = controller
        self._clock = clock
        self._due = self._began = clock()
        self._cut_short = False

    def wait(self) -> float:
        """Seconds until the next turn may begin."""
        return max(0.0, self._due - self._clock())

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Act on the controller's answers only after the block: they are on disk then."""
        self._began = self._clock()
        self._cut_short = False
        with self._controller.step():
            yield
        now = self._clock()
        pause = min(PATIENCE * (now - self._began), LONGEST_SECONDS)
        self._due = now if self._cut_short else now + pause

    def work(self, idle: int) -> list[Assignment]:
        """What up to so many workers are to do; fewer if there is no more, or proposals take long."""
        found: list[Assignment] = []
        while len(found) < idle:
            if self._clock() - self._began >= LONGEST_SECONDS:
                self._cut_short = True
                break
            assignment = self._controller.next()
            if assignment is None:
                break
            found.append(assignment)
        return found
