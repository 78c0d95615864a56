"""Drawing a part of labelled images that has every class in proportion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def stratified(
    labels: NDArray[np.int64], count: int, seed: int, at_least: int = 1
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of ``count`` images, every class in proportion, and of the rest; both in random order.

    Each class gives at least ``at_least`` images and, where it has more than those, keeps at least one;
    ``count`` has to leave room for that.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    sizes = np.bincount(labels)
    size = np.repeat(sizes, sizes)  # of the class of each image, in the order of by_class
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    turn = (rank + random.random(len(labels))) / size
    turn[rank == size - 1] = 2.0
    turn[rank < at_least] = -1.0
    chosen = np.zeros(len(labels), dtype=bool)
    chosen[by_class[np.argsort(turn, kind="stable")[:count]]] = True
    return order[chosen[order]], order[~chosen[order]]
