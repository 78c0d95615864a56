"""The built-in sources that lie in files: found, divided, decoded, checked."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluators.data.cache import Contents, Decoded, cache_key, decoded
from evaluators.data.content import content_keys
from evaluators.data.files.cifar import ARCHIVES, fetch_archive
from evaluators.data.files.listing import Listing
from evaluators.data.files.sources import find_files, read_listing
from evaluators.data.partition import Indices, divide, held_out_for_test
from evaluators.data.probe import check_readable
from evaluators.data.progress import Progress, silent
from evaluators.data.settings import DataSettings
from evaluators.data.split import Split
from evaluators.data.user_cache import cache_folder

OF_FILES = ("cifar10", "cifar100", "imagefolder", "parquet")
DECISIVE = ("validation", "split_seed", "subset", "resolution")
"""Settings that change what is decoded."""

_log = logging.getLogger("splitsearch.data")


def state_of_files(settings: DataSettings) -> str:
    """Another text whenever the images change on disk; nothing where there are none yet."""
    root = _place(settings)
    if root is None or not root.exists():
        return ""
    return cache_key(find_files(settings.name, root).development)


def from_files(settings: DataSettings, progress: Progress) -> Decoded:
    """Train and validation images; raises as ``load`` does."""
    root = _root(settings, progress)
    files = find_files(settings.name, root)

    def contents() -> Contents:
        listing = read_listing(settings.name, files.development)
        # by content, so that copies stay on one side of every border
        keys = content_keys(listing, progress)
        _tell_copies(root, listing, keys)
        kept = np.arange(len(keys))
        if not files.test:
            test, kept = held_out_for_test(listing.labels, keys)
            said = "%s has no test images: %d of its %d are kept for that"
            _log.warning(said, root, len(test), len(keys))
        train, validation = divide(listing.labels[kept], settings, keys[kept])
        _tell_unvalidated(root, listing, kept[validation])
        return listing, {"train": kept[train], "validation": kept[validation]}

    facts = asdict(settings)
    decisive = {name: facts[name] for name in DECISIVE}
    # tested: without test images a part of these is kept from the search
    key = cache_key(files.development, tested=bool(files.test), **decisive)
    folder = cache_folder(settings.cache) / f"{settings.name}-{key}"
    shape = settings.resolution, None
    return decoded(folder, contents, shape, settings.max_corrupt, progress)


def test_from_files(settings: DataSettings, progress: Progress) -> Split:
    """Decoded like the images that the networks were trained on, which are decoded first if they are not yet."""
    development = from_files(settings, progress)
    channels, resolution = development.splits["train"].images.shape[1:3]
    root = _root(settings, progress)
    files = find_files(settings.name, root)

    def contents() -> Contents:
        ours = read_listing(settings.name, files.development)
        keys = content_keys(ours, progress)
        if not files.test:
            return ours, {"test": held_out_for_test(ours.labels, keys)[0]}
        listing = read_listing(settings.name, files.test, development.classes)
        # test images that one could have trained on flatter every network
        seen = np.isin(content_keys(listing, progress), keys)
        if seen.any():
            _log.warning(
                "%s: %d of the %d test images are copies of images to train with",
                root,
                seen.sum(),
                len(seen),
            )
        return listing, {"test": np.arange(len(seen))}

    shape = resolution, channels
    key = cache_key(
        files.test or files.development, shape=shape, tested=bool(files.test)
    )
    folder = cache_folder(settings.cache) / f"{settings.name}-test-{key}"
    found = decoded(folder, contents, shape, settings.max_corrupt, progress)
    return found.splits["test"]


def check_test_files(
    settings: DataSettings, classes: list[str], resolution: int, channels: int
) -> None:
    """Read the test images' labels and a few of the images; raises as ``load_test`` would in the end."""
    files = find_files(settings.name, _root(settings, silent))
    if files.test:
        listing = read_listing(settings.name, files.test, classes)
        check_readable(listing, resolution, channels, settings.max_corrupt)


def _tell_copies(root: Path, listing: Listing, keys: NDArray[np.uint64]) -> None:
    """Copies in one class stay on one side of every border; those in two are wrong in one of them."""
    pictures, first, place = np.unique(keys, return_index=True, return_inverse=True)
    if copies := len(keys) - len(pictures):
        _log.info("%s: %d of %d images are copies of others", root, copies, len(keys))
    of_first = listing.labels[first[place]]
    disputed = np.flatnonzero(listing.labels != of_first)
    if len(disputed):
        # two copies of one picture that have different labels
        one = disputed[0]
        labels = listing.labels[[first[place[one]], one]]
        _log.warning(
            "%s: %d images lie in two classes, such as one of %s and %s",
            root,
            len(disputed),
            *(listing.classes[label] for label in labels),
        )


def _tell_unvalidated(root: Path, listing: Listing, validation: Indices) -> None:
    counts = np.bincount(listing.labels[validation], minlength=len(listing.classes))
    if not counts.all():
        _log.warning(
            "%s: too few images of %s to have one for validation; all are trained on",
            root,
            ", ".join(np.asarray(listing.classes)[counts == 0][:5]),
        )


def _place(settings: DataSettings) -> Path | None:
    """The folder or file where the images are, or are to be; None if nothing says."""
    if settings.root is not None:
        return Path(settings.root).expanduser()
    return cache_folder(settings.cache) / settings.name if settings.download else None


def _root(settings: DataSettings, progress: Progress) -> Path:
    root = _place(settings)
    if settings.download and settings.name not in ARCHIVES:
        raise ValueError(
            f"data.download: only {' and '.join(ARCHIVES)} can be fetched, "
            f"not {settings.name}"
        )
    if root is None:
        hint = ", or download: true" if settings.name in ARCHIVES else ""
        raise ValueError(
            f"data.root: {settings.name} needs the folder where its images are{hint}"
        )
    if settings.download:
        fetch_archive(settings.name, root, progress)
    return root
