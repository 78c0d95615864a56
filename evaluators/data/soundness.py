"""What is refused, or told of, once images are decoded: too many that cannot be read, or that show nothing."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from evaluators.data.files.listing import Listing
from evaluators.data.partition import Indices

BLANK = 1e-3
"""Deviation, in grey values, of images that show nothing."""
DARK = 32
"""Grey value; 12 bits kept in 16 reach half of it."""
NAMED = 5
"""Images that cannot be read, named in the log; all are in ``Dataset.corrupt``."""

_log = logging.getLogger("splitsearch.data")


def check_contrast(
    listing: Listing, images: NDArray[np.uint8], deviation: list[float]
) -> None:
    """Warn if all images are nearly the same: a wrong scale of pixels, or transparent pictures."""
    if max(deviation) >= BLANK and images.max() >= DARK:
        return
    blank = max(deviation) < BLANK
    shown = "of one colour, so there is nothing to learn" if blank else "nearly black"
    _log.warning(
        "%s: all images are %s (values from %d to %d of 255). Transparency is laid on "
        "white, and 16 bits are taken as 0 to 65535: scale pictures that use fewer",
        listing.files[0].parent,
        shown,
        images.min(),
        images.max(),
    )


def tell_corrupt(corrupt: list[str]) -> None:
    """Name the first of the images left out."""
    for named in corrupt[:NAMED]:
        _log.warning("left out: %s", named)
    if len(corrupt) > NAMED:
        _log.warning("left out: %d more that cannot be read", len(corrupt) - NAMED)


def check_corrupt(corrupt: list[str], count: int, limit: float) -> None:
    """``ValueError`` if more than the share ``limit`` of ``count`` images cannot be read."""
    if len(corrupt) > limit * count:
        raise ValueError(
            f"{len(corrupt)} of {count} images cannot be read, and data.max_corrupt={limit} allows "
            f"{int(limit * count)}; the first is {corrupt[0]}"
        )


def check_classes(listing: Listing, split: str, kept: Indices) -> None:
    """``ValueError`` if the corrupt images were all of a split, or all of a class to train with."""
    counts = np.bincount(listing.labels[kept], minlength=len(listing.classes))
    if not len(kept):
        raise ValueError(
            f"{listing.files[0]}: none of the images for {split} can be read"
        )
    if split == "train" and not counts.all():
        name = listing.classes[int(counts.argmin())]
        raise ValueError(
            f"{listing.files[0]}: no image of class {name!r} to train with can be read"
        )
