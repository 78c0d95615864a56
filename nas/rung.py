"""The trials that reached one number of epochs, in order of merit, kept up to date trial by trial."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import islice
from typing import Any

import moocore
import numpy as np

Array = np.ndarray[Any, Any]

LONG_CASCADE = 64
"""Fronts that one new trial may change one by one; the rest is then peeled anew, all at once."""


def crowding(points: Array) -> Array:
    """How alone each point of a front is, shape (m,) for ``points`` of shape (m, d); larger goes first.

    The crowding distance of NSGA-II (Deb et al. 2002, III-B) with two changes. Gaps are in units of the
    objective's interquartile range (of its range where that is 0), so that an outlier does not flatten the
    others and a constant objective counts for nothing. Copies of a point come last, with -1, so that they
    neither push each other out nor take two places.
    """
    points = points / 2  # a difference of two finite numbers stays finite
    order = np.lexsort(points.T)  # stable: of equal points the earliest is first
    copy = np.zeros(len(points), dtype=bool)
    copy[order[1:]] = (points[order[1:]] == points[order[:-1]]).all(axis=1)
    single = np.flatnonzero(~copy)
    distance = np.zeros(len(points))
    distance[copy] = -1
    for column in points[single].T:
        rising = np.argsort(column, kind="stable")
        values = column[rising]
        scale = _scale(values)
        if scale:
            with np.errstate(over="ignore"):
                distance[single[rising[1:-1]]] += (values[2:] - values[:-2]) / scale
            distance[single[rising[[0, -1]]]] = np.inf
    return distance


def _scale(values: Array) -> float:
    """Interquartile range of sorted ``values``; where it is 0, their range."""
    middle = values[3 * len(values) // 4] - values[len(values) // 4]
    return float(middle or values[-1] - values[0])


@dataclass(frozen=True)
class Front:
    """Trials of which none dominates another: when each came (m,), its objectives (m, d), minimised."""

    arrivals: Array
    points: Array

    def dominates(self, point: Array) -> bool:
        """Whether any member does."""
        no_worse = self._all(np.less_equal, point)
        return bool(no_worse.any() and (self.points[no_worse] < point).any())

    def beaten_by(self, others: Front) -> Array:
        """Which members some of ``others`` dominate, (m,), given that no member dominates any of ``others``."""
        if len(others) == 1:
            point = others.points[0]
            no_better = self._all(np.greater_equal, point)
            no_better[no_better] = (self.points[no_better] > point).any(axis=1)
            return no_better
        both = np.concatenate([self.points, others.points])
        kept: Array = moocore.is_nondominated(both, keep_weakly=True)[: len(self)]
        return ~kept

    def _all(self, compare: Callable[[Array, float], Array], point: Array) -> Array:
        """Column by column, as numpy is slow along short rows."""
        return reduce(np.logical_and, (compare(self.points[:, i], point[i]) for i in range(len(point))))

    def spread(self) -> Array:
        """Arrivals (m,), most alone first; of equals the earlier is first."""
        front = self[np.argsort(self.arrivals)]
        return front.arrivals[np.argsort(-crowding(front.points), kind="stable")]

    def __add__(self, other: Front) -> Front:
        return Front(
            np.concatenate([self.arrivals, other.arrivals]), np.concatenate([self.points, other.points])
        )

    def __getitem__(self, which: Array) -> Front:
        return Front(self.arrivals[which], self.points[which])

    def __len__(self) -> int:
        return len(self.arrivals)


class ParetoRung:
    """Ranked by non-dominated front, inside a front by ``crowding``; of equals the earlier is first.

    Fronts are updated as trials arrive (Li, Deb, Zhang, Kwong 2017, "Efficient nondomination level update
    method for steady-state evolutionary multiobjective optimization"): a new trial enters the first front that
    does not dominate it, found by bisection; whom it dominates there moves on to the next front, and so forth.
    """

    def __init__(self) -> None:
        self._trials: list[int] = []
        self._fronts: list[Front] = []
        self._sizes: list[int] = []
        self._last = 0  # front of the trial that came last

    def __len__(self) -> int:
        return len(self._trials)

    def add(self, trial: int, point: Array) -> None:
        """Record a trial; ``point`` (d,) is minimised and finite."""
        self._last = self._first_not_dominating(point)
        moving = Front(np.array([len(self._trials)]), point[None])
        self._trials.append(trial)
        for number in range(self._last, len(self._fronts)):
            if number - self._last == LONG_CASCADE:
                self._peel_again(number, moving)
                return
            there = self._fronts[number]
            beaten = there.beaten_by(moving)
            if beaten.all():  # those behind keep their distance
                self._insert(number, moving)
                return
            self._fronts[number] = there[~beaten] + moving
            self._sizes[number] = len(self._fronts[number])
            moving = there[beaten]
            if not len(moving):
                return
        self._insert(len(self._fronts), moving)

    def last_is_in(self, quota: int) -> bool:
        """Whether the trial recorded last is among the first ``quota``."""
        front = self._fronts[self._last]
        places = quota - sum(islice(self._sizes, self._last))
        if places <= 0 or places >= len(front):
            return places > 0
        return len(self) - 1 in front.spread()[:places]

    def first(self, quota: int) -> Iterator[int]:
        """The first ``quota`` trials, best first."""
        for front in self._fronts:
            if quota <= 0:
                return
            for arrival in front.spread()[:quota].tolist():
                yield self._trials[arrival]
            quota -= len(front)

    def _first_not_dominating(self, point: Array) -> int:
        """All fronts before it do, none after it does."""
        low, high = 0, len(self._fronts)
        while low < high:
            middle = (low + high) // 2
            if self._fronts[middle].dominates(point):
                low = middle + 1
            else:
                high = middle
        return low

    def _insert(self, number: int, front: Front) -> None:
        self._fronts.insert(number, front)
        self._sizes.insert(number, len(front))

    def _peel_again(self, number: int, moving: Front) -> None:
        fronts = [moving, *self._fronts[number:]]
        rest = Front(
            np.concatenate([front.arrivals for front in fronts]),
            np.concatenate([front.points for front in fronts]),
        )
        ranks = moocore.pareto_rank(rest.points)
        by_rank = np.argsort(ranks, kind="stable")
        bounds = np.cumsum(np.bincount(ranks))[:-1]
        self._fronts[number:] = [rest[which] for which in np.split(by_rank, bounds)]
        self._sizes[number:] = map(len, self._fronts[number:])


class SortedRung:
    """Ranked by one objective; of equals the earlier is first."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._trials: list[int] = []
        self._last = 0

    def __len__(self) -> int:
        return len(self._values)

    def add(self, trial: int, point: Array) -> None:
        value = float(point[0])
        self._last = bisect_right(self._values, value)
        self._values.insert(self._last, value)
        self._trials.insert(self._last, trial)

    def last_is_in(self, quota: int) -> bool:
        return self._last < quota

    def first(self, quota: int) -> Iterator[int]:
        return islice(self._trials, quota)
