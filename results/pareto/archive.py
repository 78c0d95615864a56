"""A front that grows: one point after another, for a search under way as for a table of it."""

from typing import Generic, TypeVar

import moocore
import numpy as np

from results.columns import Array

Item = TypeVar("Item")


class FrontArchive(Generic[Item]):
    """The points that no other dominates, equal ones among them, each with the caller's ``item``.

    Points are costs (objectives,), lower is better: ``Objectives.costs``.
    """

    def __init__(self, objectives: int) -> None:
        self.points: Array = np.empty((0, objectives))
        self.items: list[Item] = []
        self._volume: tuple[bytes, float] | None = None

    def __len__(self) -> int:
        return len(self.points)

    def covers(self, point: Array) -> bool:
        """Whether a point of the front is nowhere worse than this one."""
        nowhere_worse = (self.points <= point).all(axis=1)
        return bool(nowhere_worse.any())

    def add(self, point: Array, item: Item) -> bool:
        """Take in a point, and drop those that it dominates; False if it is dominated itself, or not known."""
        nowhere_worse = (self.points <= point).all(axis=1)
        # Equal points stay together, so equality is no domination.
        equal = (self.points == point).all(axis=1)
        if np.isnan(point).any() or (nowhere_worse & ~equal).any():
            return False
        dominated = (point <= self.points).all(axis=1) & ~equal
        if dominated.any():
            self.items = [
                self.items[index] for index in np.flatnonzero(~dominated).tolist()
            ]
        # fronts hold tens to hundreds of points: a copy costs less than a cleverer structure
        kept = self.points[~dominated]
        self.points = np.vstack([kept, point])
        self.items.append(item)
        self._volume = None
        return True

    def hypervolume(self, reference: Array) -> float:
        """The volume that the front dominates up to ``reference`` (objectives,), exact; kept until it changes."""
        # The search asks after every trial, and most change nothing.
        key = reference.tobytes()
        if self._volume is None or self._volume[0] != key:
            self._volume = key, dominated_volume(self.points, reference)
        return self._volume[1]


def dominated_volume(costs: Array, reference: Array) -> float:
    """The hypervolume of points (points, objectives); none beyond ``reference`` counts."""
    # NaN compares false, so unknown points fall out here too
    inside = costs[(costs < reference).all(axis=1)]
    if not len(inside):
        return 0.0
    return float(moocore.hypervolume(inside, ref=reference))
