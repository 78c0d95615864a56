"""A look at some of the images, before all are decoded or anything is paid for."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from evaluators.data.decode import (
    ColourError,
    Stored,
    images,
    is_grey,
    opened,
    pixels,
    reason,
)
from evaluators.data.files.listing import Listing
from evaluators.data.partition import Indices
from evaluators.data.soundness import check_corrupt

PROBED = 256
Shape = tuple[int | None, int | None]
"""Resolution and channels; None: as the images have them."""

_log = logging.getLogger("splitsearch.data")


def shape_of(listing: Listing, wanted: Indices, shape: Shape) -> tuple[int, int]:
    """Resolution and channels to decode at: as given, else as some of the images have them.

    Raises:
        ValueError: if these are no squares of one size, and no resolution is given.
    """
    resolution, channels = shape
    sizes = set()
    grey = []
    for _, stored in _stored(listing, _some(listing, wanted)):
        with suppress(Exception):  # decoding will say what is wrong with it
            with warnings.catch_warnings(action="ignore"):
                image = opened(stored)
            sizes.add(image.size)
            grey.append(is_grey(image))
    if resolution is None:
        resolution = _side(listing, sizes)
    # a guess from some: decoding finds colour later and begins anew with three
    return resolution, channels or (1 if grey and all(grey) else 3)


def _some(listing: Listing, wanted: Indices) -> Indices:
    if listing.kind == "file":
        chosen = np.linspace(
            0, len(wanted) - 1, min(PROBED, len(wanted)), dtype=np.int64
        )
        return np.take(wanted, chosen)
    # rows of one container, for each that is opened costs reading it
    first = listing.container[wanted[0]]
    in_first = listing.container[wanted] == first
    return np.extract(in_first, wanted)[:PROBED]


def _side(listing: Listing, sizes: set[tuple[int, int]]) -> int:
    if len(sizes) > 1 or any(width != height for width, height in sizes):
        examples = " and ".join(
            f"{width}x{height}" for width, height in sorted(sizes)[:2]
        )
        raise ValueError(
            "data.resolution: is needed, because the images of "
            f"{listing.files[0].parent} are {examples}"
        )
    # none could be read: decoding will name the first
    return next(iter(sizes), (1, 1))[0]


def check_readable(
    listing: Listing, resolution: int, channels: int, max_corrupt: float
) -> None:
    """Read the first, a middle and the last image; one that fails may be left out when the time comes.

    Raises:
        ColourError: if one has not the channels of the others.
        ValueError: if these alone are more unreadable images than the share ``max_corrupt`` of all.
    """
    corrupt = []
    last = len(listing.labels) - 1
    chosen = np.unique(np.linspace(0, last, 3, dtype=np.int64))
    for name, stored in _stored(listing, chosen):
        try:
            with warnings.catch_warnings(action="ignore"):
                pixels(stored, resolution, channels)
        except ColourError as error:
            raise ColourError(f"{name}: {error}") from None
        except Exception as error:  # decoders raise anything
            why = reason(error)
            _log.warning("%s: a test image that cannot be read (%s)", name, why)
            corrupt.append(f"{name}: {why}")
    check_corrupt(corrupt, len(listing.labels), max_corrupt)


def _stored(listing: Listing, chosen: Indices) -> Iterator[tuple[str, Stored]]:
    for job in listing.jobs(chosen):
        for entry in job:
            yield from images(entry)
