"""Successive halving of a field that is known from the start. Knows nothing of Ray."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np

from nas.stopper.asha import Decision
from nas.stopper.rung import ParetoRung
from results.columns import Array
from results.metrics import MetricValues
from results.objectives import Directions, Objectives


@dataclass(frozen=True)
class Field:
    """Trials that are compared with each other, by these objectives."""

    trials: frozenset[int]
    objectives: Directions


@dataclass
class _Rung:
    """What is known of a field's trials at one rung; ``passed`` is decided once all ``expected`` are in."""

    epoch: int
    expected: set[int] = field(default_factory=set)
    points: dict[int, Array] = field(default_factory=dict)
    passed: list[int] | None = None


class Halving:
    """Successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943), by several objectives.

    At each of the epochs ``rungs`` a trial waits until its whole field is there; then the best ``1/eta`` of those
    that came, rounded up, go on. They are ranked front by front and inside a front by spread (``ParetoRung``), the
    order of arrival counting for nothing. Trials of no field are never stopped. ``MultiObjectiveASHA`` waits for
    nobody, which keeps thousands of trials going but lets the first of a few through unopposed.
    """

    def __init__(
        self, fields: Sequence[Field], rungs: Sequence[int], eta: int = 2
    ) -> None:
        self.eta = eta
        self._fields = [
            (Objectives.of(each.objectives), [_Rung(epoch) for epoch in rungs])
            for each in fields
        ]
        self._home: dict[int, int] = {}
        for place, each in enumerate(fields):
            self._home |= dict.fromkeys(each.trials, place)
            if rungs:
                # the first rung waits for the whole field, each next for those that passed
                self._fields[place][1][0].expected = set(each.trials)
        self._sent_on: set[tuple[int, int]] = set()

    def report(self, trial: int, epoch: int, metrics: MetricValues) -> Decision:
        place = self._home.get(trial)
        if place is None:
            return "continue"
        aims, rungs = self._fields[place]
        rung = next((rung for rung in rungs if rung.epoch == epoch), None)
        if rung is None or (trial, epoch) in self._sent_on:
            return "continue"
        point = aims.costs_of(metrics)
        if not np.isfinite(point).all():
            self.finish(trial)
            return "stop"
        rung.points[trial] = point
        return "pause"

    def promote(self) -> int | None:
        """The next that may go on: of the last rung first, there the best first."""
        for aims, rungs in self._fields:
            self._decide(aims, rungs)
            for rung in reversed(rungs):
                for trial in rung.passed or ():
                    if (trial, rung.epoch) not in self._sent_on:
                        self._sent_on.add((trial, rung.epoch))
                        return trial
        return None

    def finish(self, trial: int) -> None:
        """A trial that ended is no longer waited for where it has not arrived."""
        if (place := self._home.get(trial)) is not None:
            for rung in self._fields[place][1]:
                if trial not in rung.points:
                    rung.expected.discard(trial)

    def _decide(self, aims: Objectives, rungs: Sequence[_Rung]) -> None:
        for rung, above in zip_longest(rungs, rungs[1:]):
            if (
                rung.passed is None
                and rung.expected
                and rung.expected <= set(rung.points)
            ):
                rung.passed = self._best(rung.points)
                if above is not None:
                    above.expected = set(rung.passed)

    def _best(self, points: Mapping[int, Array]) -> list[int]:
        ranked = ParetoRung()
        left = set(points)
        # by number: the order of arrival is chance
        for trial in sorted(points):
            ranked.add(trial, points[trial])
        best = list[int]()
        for _ in range(math.ceil(len(points) / self.eta)):
            first = ranked.best(len(points), left)
            if first is not None:
                best.append(first)
                left.remove(first)
        return best


def rungs_below(epochs: int, min_epochs: int | None, eta: int) -> tuple[int, ...]:
    """``min_epochs * eta**i`` below ``epochs``; by default one, at half of them.

    Half of a training ranks its end well, its first epochs do not (docs/evidence).
    """
    first = max(1, epochs // 2) if min_epochs is None else min_epochs
    rungs = []
    while first < epochs:
        rungs.append(first)
        first *= eta
    return tuple(rungs)
