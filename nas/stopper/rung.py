"""The trials that reached one number of epochs, in order of merit, kept up to date trial by trial."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import islice

import moocore
import numpy as np
from numpy.typing import NDArray

from results.columns import Array, Mask

Arrivals = NDArray[np.intp]

LONG_CASCADE = 64
"""Fronts that one new trial may change one by one; those behind are then peeled anew when they are needed."""
AHEAD = 1.25
"""How many more trials than needed are peeled into fronts, so that it is seldom done."""
MANY_PAIRS = 20_000
"""Pairs of trials from which on moocore finds the dominated sooner than plain comparison."""


def scaled_crowding(points: Array) -> Array:
    """How alone each point of a front is, shape (m,) for ``points`` of shape (m, d); larger goes first.

    The crowding distance of NSGA-II (Deb et al. 2002, III-B) with two changes. Gaps are in units of the
    objective's interquartile range (of its range where that is 0), so that an outlier does not flatten the
    others and a constant objective counts for nothing. Copies of a point come last, with -1, so that they
    neither push each other out nor take two places.
    """
    points = points / 2  # a difference of two finite numbers stays finite
    copy = _copies(points)
    single = np.flatnonzero(~copy)
    distance = np.zeros(len(points))
    distance[copy] = -1
    for column in points[single].T:
        rising = np.argsort(column, kind="stable")
        values = column[rising]
        scale = _scale(values)
        if scale:
            with np.errstate(over="ignore"):
                gaps = (values[2:] - values[:-2]) / scale
                distance[single[rising[1:-1]]] += gaps
            # the ends hold a front's range: they go first, as in NSGA-II
            distance[single[rising[[0, -1]]]] = np.inf
    return distance


def _copies(points: Array) -> Mask:
    """Which of the points are equal to an earlier one."""
    # equal ones become neighbours; stable: the earliest of them is first
    order = np.lexsort(points.T)
    ordered = points[order]
    copy = np.zeros(len(points), dtype=bool)
    copy[order[1:]] = (ordered[1:] == ordered[:-1]).all(axis=1)
    return copy


def _scale(values: Array) -> float:
    """Interquartile range of sorted ``values``; where it is 0, their range."""
    lower = values[len(values) // 4]
    upper = values[3 * len(values) // 4]
    return float(upper - lower or values[-1] - values[0])


def dominated(points: Array, by: Array) -> Mask:
    """Which of ``points`` (m, d) some row of ``by`` (s, d) dominates, shape (m,).

    Neither are there rows of ``by`` that dominate each other, nor does any point dominate one of them.
    """
    if len(points) * len(by) > MANY_PAIRS and len(by) > 1:
        kept: Mask = moocore.is_nondominated(
            np.concatenate([points, by]), keep_weakly=True
        )
        return ~kept[: len(points)]
    pairs = (len(by), len(points))
    no_worse = np.ones(pairs, dtype=bool)
    better = np.zeros_like(no_worse)
    # numpy is slow along short rows
    for theirs, ours in zip(by.T, points.T, strict=True):
        no_worse &= theirs[:, None] <= ours
        better |= theirs[:, None] < ours
    return np.asarray((no_worse & better).any(axis=0))


@dataclass(slots=True)
class Group:
    """Trials: when each came (m,), its objectives (m, d), minimised."""

    arrivals: Arrivals
    points: Array

    def spread(self) -> Arrivals:
        """Arrivals (m,), most alone first; of equals the earlier is first."""
        group = self[np.argsort(self.arrivals)]
        alone = scaled_crowding(group.points)
        return group.arrivals[np.argsort(-alone, kind="stable")]

    def __getitem__(self, which: Mask | Arrivals) -> Group:
        return Group(self.arrivals[which], self.points[which])

    def __len__(self) -> int:
        return len(self.arrivals)


def together(groups: Sequence[Group]) -> Group:
    return Group(
        np.concatenate([group.arrivals for group in groups]),
        np.concatenate([group.points for group in groups]),
    )


class ParetoRung:
    """Ranked by non-dominated front, inside a front by ``crowding``; of equals the earlier is first.

    Fronts are updated as trials arrive (Li, Deb, Zhang, Kwong 2017, "Efficient nondomination level update
    method for steady-state evolutionary multiobjective optimization"): a new trial enters the first front that
    does not dominate it, found by bisection; whom it dominates there moves on to the next front, and so forth.
    Only the first fronts, as many as quotas ask for, are kept so; behind them all are in one heap.
    """

    def __init__(self) -> None:
        self._trials: list[int] = []
        self._fronts: list[Group] = []
        self._sizes: list[int] = []
        self._behind: list[Group] = []
        nobody = np.empty(0, dtype=np.intp)
        self._last = Group(nobody, np.empty((0, 0)))
        self._last_level = 0

    def __len__(self) -> int:
        return len(self._trials)

    def add(self, trial: int, point: Array) -> None:
        """Record a trial; ``point`` (d,) is minimised and finite."""
        # what is on its way down: first the new trial, then those it has beaten
        arrival = np.array([len(self._trials)])
        moving = self._last = Group(arrival, point[None])
        self._trials.append(trial)
        self._last_level = first = self._level_of_last()
        for number in range(first, min(len(self._fronts), first + LONG_CASCADE)):
            there = self._fronts[number]
            beaten = dominated(there.points, by=moving.points)
            if beaten.all():
                # the whole front moves back by one, and with it all behind
                self._fronts.insert(number, moving)
                self._sizes.insert(number, len(moving))
                return
            self._fronts[number] = together([there[~beaten], moving])
            self._sizes[number] = len(self._fronts[number])
            moving = there[beaten]
            if not len(moving):
                return
        # too long a cascade: what is left goes back on the heap, to be ranked when it is needed
        changed = slice(first + LONG_CASCADE, None)
        self._behind += [moving, *self._fronts[changed]]
        del self._fronts[changed], self._sizes[changed]

    def last_is_in(self, quota: int) -> bool:
        """Whether the trial recorded last is among the first ``quota``."""
        if self._peel(quota):
            self._last_level = self._level_of_last()
        # fronts before its own come first; of its own as many as there are places left
        places = quota - sum(islice(self._sizes, self._last_level))
        if places <= 0 or places >= self._sizes[self._last_level]:
            return places > 0
        front = self._fronts[self._last_level]
        return self._last.arrivals[0] in front.spread()[:places]

    def best(self, quota: int, among: Set[int]) -> int | None:
        """The first of the first ``quota`` trials that is ``among`` these; None if none is."""
        self._peel(quota)
        for front in self._fronts:
            if quota <= 0:
                break
            arrivals = front.arrivals.tolist()
            trials = [self._trials[arrival] for arrival in arrivals]
            # spreading a front takes longest: only where it holds one of those asked for
            if not among.isdisjoint(trials):
                first = front.spread()[:quota].tolist()
                order = [self._trials[arrival] for arrival in first]
                return next((trial for trial in order if trial in among), None)
            quota -= len(front)
        return None

    def _level_of_last(self) -> int:
        """Its front: all before dominate it, and it is dominated by none from there on."""
        low = 0
        high = len(self._fronts)
        while low < high:
            # bisection holds because whoever is dominated by front k is dominated by all before it
            middle = (low + high) // 2
            front = self._fronts[middle]
            if dominated(self._last.points, by=front.points)[0]:
                low = middle + 1
            else:
                high = middle
        return low

    def _peel(self, quota: int) -> bool:
        """Have at least ``quota`` trials in fronts; whether that changed anything."""
        missing = quota - sum(self._sizes)
        if missing <= 0:
            return False
        missing += int((AHEAD - 1) * quota)  # some more, so that it is seldom done
        rest = together(self._behind)
        ranks = moocore.pareto_rank(rest.points)
        counts = np.bincount(ranks)
        # so many fronts hold the trials that are missing
        peeled = int(np.searchsorted(np.cumsum(counts), missing)) + 1
        by_rank = np.argsort(ranks, kind="stable")
        ends = np.cumsum(counts[:peeled])
        *fronts, behind = np.split(by_rank, ends)
        self._fronts += [rest[which] for which in fronts]
        self._sizes += map(len, fronts)
        self._behind = [rest[behind]] if len(behind) else []
        return True


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

    def best(self, quota: int, among: Set[int]) -> int | None:
        return next(
            (trial for trial in islice(self._trials, quota) if trial in among), None
        )
