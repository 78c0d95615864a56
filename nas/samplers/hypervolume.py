"""Fronts of losses, lower being better: how lonely points are there, and what others would add."""

from __future__ import annotations

import moocore
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MARGIN = 0.1
"""How far beyond the worst seen the reference point lies, in units of the range seen."""


def crowding(losses: Array) -> Array:
    """Crowding distance of the points of a front (Deb et al. 2002), infinite at the ends."""
    distance = np.zeros(len(losses))
    for column in losses.T:
        order = column.argsort()
        span = (column[order[-1]] - column[order[0]]) or 1.0
        distance[order[[0, -1]]] = np.inf
        distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return distance


def hypervolume_gains(points: Array, front: Array, seen: Array) -> Array:
    """What each point alone would add to the hypervolume of ``front``, all scaled to the range of ``seen``.

    A loss that is always positive, such as a latency, is taken as its logarithm.
    """
    reference = np.full(points.shape[1], 1 + MARGIN)
    front, points = (np.minimum(scaled(rows, seen), reference) for rows in (front, points))
    hypervolume = moocore.Hypervolume(ref=reference)
    before = hypervolume(front)
    return np.array([hypervolume(np.vstack([front, point])) - before for point in points])


def scaled(points: Array, seen: Array) -> Array:
    """Each column from 0, the best seen, to 1, the worst."""
    positive = (seen > 0).all(axis=0)
    least = np.where(positive, seen.min(axis=0) / 10, 1.0)  # of what is only guessed to be still less
    points, seen = (np.where(positive, np.log(np.maximum(rows, least)), rows) for rows in (points, seen))
    low, high = seen.min(axis=0), seen.max(axis=0)
    return np.asarray((points - low) / np.where(high > low, high - low, 1.0))
