"""Fronts of losses, lower being better: how lonely points are there, and what others would add.

What a front leaves undominated is cut into boxes, from its local upper bounds (Lacour, Klamroth and Fonseca 2017).
A point adds what it dominates of each box, so one cut serves any number of points.
"""

from __future__ import annotations

import moocore
import numpy as np
from numpy.typing import NDArray

from results.columns import Array

MARGIN = 0.1
"""How far beyond the worst seen the reference point lies, in units of the range seen."""
NUMBERS_AT_ONCE = 4_000_000
"""Numbers held at once."""


def crowding(losses: Array) -> Array:
    """Crowding distance of the points of a front (Deb et al. 2002), infinite at the ends."""
    distance = np.zeros(len(losses))
    for column in losses.T:
        order = column.argsort()
        span = (column[order[-1]] - column[order[0]]) or 1.0
        distance[order[[0, -1]]] = np.inf
        gaps = column[order[2:]] - column[order[:-2]]
        distance[order[1:-1]] += gaps / span
    return distance


def undominated(losses: Array) -> NDArray[np.bool_]:
    """Which of the points (points, objectives) no other is better than; of equal ones, the first."""
    best = moocore.is_nondominated(losses, keep_weakly=False)
    return np.asarray(best, dtype=bool)


def hypervolume_gains(points: Array, front: Array, seen: Array) -> Array:
    """What each of ``points`` (..., objectives) alone would add to the hypervolume of ``front``: (...).

    All is scaled to the range of ``seen``. A loss that is always positive, such as a latency, is taken as its
    logarithm.
    """
    reference = np.full(points.shape[-1], 1 + MARGIN)
    lower, upper = boxes(scaled(front, seen), reference)
    flat = scaled(points, seen).reshape(-1, len(reference))
    step = max(1, NUMBERS_AT_ONCE // lower.size)
    parts = [
        _dominated(flat[at : at + step], lower, upper)
        for at in range(0, len(flat), step)
    ]
    gains = np.concatenate([np.zeros(0), *parts])
    return gains.reshape(points.shape[:-1])


def _dominated(points: Array, lower: Array, upper: Array) -> Array:
    volume = np.ones((len(points), len(lower)))
    for objective, column in enumerate(points.T):
        lows = lower[:, objective]
        begin = np.maximum(lows, column[:, None])
        # the part of each box that is worse than the point, objective by objective
        volume *= np.maximum(upper[:, objective] - begin, 0)
    return np.asarray(volume.sum(axis=1))


def boxes(front: Array, reference: Array) -> tuple[Array, Array]:
    """Lower and upper corners of boxes, (boxes, objectives) each, that fill what ``front`` does not dominate.

    ``front``: (points, objectives). Nothing beyond ``reference`` belongs to it.
    """
    upper = reference[None].copy()
    # of bound u, defining[u, k] is the point that bounds it in objective k
    objectives = len(reference)
    defining = np.full((1, objectives, objectives), -np.inf)
    defining[0, range(objectives), range(objectives)] = reference
    inside = front[(front < reference).all(axis=1)]
    for point in inside[undominated(inside)] if len(inside) else inside:
        upper, defining = _cut(point, upper, defining)
    lower = np.full(upper.shape, -np.inf)
    for objective in range(1, objectives):
        # boxes that do not overlap: each ends where an earlier objective's point begins
        earlier = defining[:, :objective, objective]
        lower[:, objective] = earlier.max(axis=1)
    full = (lower < upper).all(axis=1)
    return lower[full], upper[full]


def _cut(point: Array, upper: Array, defining: Array) -> tuple[Array, Array]:
    """Local upper bounds after one more point is on the front (Klamroth, Lacour and Vanderpooten 2015)."""
    beaten = (point < upper).all(axis=1)
    uppers = [upper[~beaten]]
    definings = [defining[~beaten]]
    for objective, value in enumerate(point):
        # what the bound's other defining points have in this objective
        others = np.delete(defining[beaten], objective, axis=1)
        theirs = others[:, :, objective]
        stays = value >= theirs.max(axis=1, initial=-np.inf)
        bounds = upper[beaten][stays]
        points = defining[beaten][stays]
        bounds[:, objective] = value
        points[:, objective] = point
        uppers.append(bounds)
        definings.append(points)
    return np.concatenate(uppers), np.concatenate(definings)


def scaled(points: Array, seen: Array) -> Array:
    """Each column (..., objectives) from 0, the best seen, to 1, the worst."""
    positive = (seen > 0).all(axis=0)
    # of what is only guessed to be still less
    least = np.where(positive, seen.min(axis=0) / 10, 1.0)
    points, seen = (
        np.where(positive, np.log(np.maximum(rows, least)), rows)
        for rows in (points, seen)
    )
    low = seen.min(axis=0)
    span = seen.max(axis=0) - low
    unit = np.where(span > 0, span, 1.0)
    return np.asarray((points - low) / unit)
