"""Which images are trained on, validated with and tested with.

Images that lie in files are told apart by a hash of their bytes (``keys``). In every class they stand in the
order of that hash, mixed with a seed, and the first are held out. So a picture stays where it is whatever it is
called, wherever its folder lies and however shards are cut; copies of it stay with it; and one picture more
moves at most one other across a border.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaluators.data.settings import DataSettings

Indices = NDArray[np.int64]
Keys = NDArray[np.uint64]
Parts = tuple[Indices, Indices]
"""What is drawn, and the rest; both in random order."""

TEST_SHARE = 0.2


def held_out_for_test(labels: Indices, keys: Keys) -> Parts:
    """For images that come without a test split: the same images whatever the settings."""
    return held_out(labels, keys, TEST_SHARE, seed=0)


def divide(labels: Indices, settings: DataSettings, keys: Keys | None) -> Parts:
    """Indices of the images to train and to validate with; images in memory have no ``keys``.

    Raises:
        ValueError: for a subset or a share that leaves too few images.
    """
    used = np.arange(len(labels))
    if settings.subset is not None:
        used = _subset(labels, settings.subset, settings.split_seed, keys)
    share = settings.validation
    seed = settings.split_seed
    count = round(share * len(used))
    _check_validation(count, len(used), int(labels.max()) + 1, share)
    if keys is None:
        validation, train = stratified(labels[used], count, seed)
    else:
        of_used = keys[used]
        validation, train = held_out(labels[used], of_used, share, seed)
    return used[train], used[validation]


def _check_validation(count: int, images: int, classes: int, share: float) -> None:
    most = images - classes
    if not 0 < count <= most:
        raise ValueError(
            f"data.validation: {share} is {count} of {images} images; "
            f"at least 1 is needed, and at most {most}, which leaves one a class to train with"
        )


def _subset(labels: Indices, count: int, seed: int, keys: Keys | None) -> Indices:
    classes = int(labels.max()) + 1
    if not 2 * classes <= count <= len(labels):
        raise ValueError(
            f"data.subset: {count} must be from {2 * classes}, two images a class, to "
            f"{len(labels)}, which there are without test"
        )
    if keys is None:
        return stratified(labels, count, seed, at_least=2, keep=0)[0]
    in_order = _Ordered(labels, keys, seed)
    shares = _proportional(in_order.sizes, count, at_least=2)
    return in_order.parts(in_order.rank < shares[in_order.label])[0]


def stratified(
    labels: Indices, count: int, seed: int, *, at_least: int = 1, keep: int = 1
) -> Parts:
    """Indices of ``count`` images, every class in proportion, and of the rest.

    Each class keeps ``keep`` images and, of what it has beyond those, gives at least
    ``at_least``; ``count`` has to leave room for that.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    sizes = np.bincount(labels)
    size = np.repeat(sizes, sizes)  # of each image's class, in the order of by_class
    rank = _ranks(sizes)
    # When each image's turn comes, 0 to 1: the r-th of n in its class at (r + u) / n.
    # The first ``count``
    # turns hold every class in proportion, to one image.
    turn = (rank + random.random(len(labels))) / size
    # before all others, or after all others
    turn[rank < at_least] = -1.0
    turn[rank >= size - keep] = 2.0
    chosen = np.zeros(len(labels), dtype=bool)
    first = np.argsort(turn, kind="stable")[:count]
    chosen[by_class[first]] = True
    return order[chosen[order]], order[~chosen[order]]


def held_out(labels: Indices, keys: Keys, share: float, seed: int) -> Parts:
    """Indices of a share of every class, and of the rest, copies of a picture on one side.

    A class of two images or more gives one at least, and keeps one. How many it gives
    depends only on its own size, so that an image more in one leaves the others.
    """
    in_order = _Ordered(labels, keys, seed)
    label = in_order.label
    sizes = in_order.sizes
    # half up; numpy's own rounding goes to even, so that 0.5 would give none
    rounded = np.floor(share * sizes + 0.5).astype(np.int64)
    wanted = np.maximum(rounded, 1)
    border = np.minimum(wanted, sizes - 1)[label]
    chosen = in_order.middle_of_copies() < border
    # both sides need some: where there are little but copies, they are cut after all
    given = np.bincount(label[chosen], minlength=len(sizes))
    one_sided = ((given == 0) | (given == sizes))[label]
    by_rank = in_order.rank < border
    return in_order.parts(np.where(one_sided, by_rank, chosen))


class _Ordered:
    """Images class by class, in each by their keys mixed with the seed: ``rank`` counts from 0 in each."""

    def __init__(self, labels: Indices, keys: Keys, seed: int) -> None:
        mixed = _mixed(keys, seed)
        self._at_random = np.argsort(mixed, kind="stable")
        # by class, then by mixed key
        self._by_class = np.lexsort((mixed, labels))
        self._key = mixed[self._by_class]
        self.label = labels[self._by_class]
        self.sizes = np.bincount(labels)
        self.rank = _ranks(self.sizes)

    def middle_of_copies(self) -> NDArray[np.float64]:
        """For each image the mean rank, rounded up, of all that are the same and of its class."""
        # equal keys are neighbours in this order
        other_key = np.diff(self._key) != 0
        other_class = np.diff(self.label) != 0
        new = other_key | other_class
        group = np.concatenate([[0], np.cumsum(new)])
        sums = np.bincount(group, self.rank)
        counts = np.bincount(group)
        means = np.ceil(sums / counts)
        middle: NDArray[np.float64] = means[group]
        return middle

    def parts(self, chosen: NDArray[np.bool_]) -> Parts:
        """Indices of the chosen and of the rest, each in random order."""
        drawn = np.zeros(len(chosen), dtype=bool)
        drawn[self._by_class] = chosen
        at_random = self._at_random
        return at_random[drawn[at_random]], at_random[~drawn[at_random]]


def _ranks(sizes: Indices) -> Indices:
    """0, 1, … in every class, class after class."""
    first = np.cumsum(sizes) - sizes
    return np.arange(sizes.sum()) - np.repeat(first, sizes)


def _proportional(sizes: Indices, count: int, at_least: int) -> Indices:
    """How many of each class, ``count`` together: in proportion, by the largest remainder (Hamilton)."""
    least = np.minimum(at_least, sizes)
    exact = count * sizes / sizes.sum()
    whole = np.floor(exact).astype(np.int64)
    shares: Indices = np.clip(whole, least, sizes)
    while (missing := count - shares.sum()) != 0:
        step = 1 if missing > 0 else -1
        free = shares < sizes if missing > 0 else shares > least
        # whoever is farthest from its exact share is next
        away = step * (exact - shares)
        wanting = np.where(free, away, -np.inf)
        shares[int(wanting.argmax())] += step
    return shares


def _mixed(keys: Keys, seed: int) -> Keys:
    """Steele et al. 2014, "Fast Splittable Pseudorandom Number Generators": the finaliser of SplitMix64."""
    gamma = np.uint64(0x9E3779B97F4A7C15)
    # arithmetic modulo 2**64 is what is wanted
    with np.errstate(over="ignore"):
        value = keys + gamma * np.uint64(seed % 2**64 + 1)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed: Keys = value ^ (value >> np.uint64(31))
    return mixed
