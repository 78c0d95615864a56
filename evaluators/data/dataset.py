"""Labelled images, decoded once and held as tensors.

A source has images that a search may see (``development``) and those it may not (``test``). ``load`` splits
the former into train and validation; only ``load_test`` reads the latter. A user's own source is named
``"module:function"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluators.data.cache import (
    Contents,
    Decoded,
    Progress,
    cache_key,
    decoded,
    log,
    probe,
)
from evaluators.data.cifar import ARCHIVES, fetch_archive
from evaluators.data.in_memory import source_in_memory
from evaluators.data.listing import Listing
from evaluators.data.settings import DataSettings
from evaluators.data.sources import find_files, read_listing
from evaluators.data.split import (
    Parts,
    Split,
    content_of,
    statistics,
    stratified,
    stratified_by_key,
)
from evaluators.data.user_cache import cache_folder
from evaluators.devices.device import resolve_device
from search_spaces import Task

SMALL_IMAGES = 64  # pixels; up to this side stems do not downsample, as for CIFAR and downsampled ImageNet


@dataclass(frozen=True, eq=False)
class Dataset:
    """What the search sees.

    ``mean`` and ``deviation`` are (C,), of each channel of ``train``, on the device. ``corrupt`` names the
    images that could not be read and were left out, ``classes`` the classes in the order of their labels.
    ``white`` is the value of white in the images, None where nobody knows. ``content`` tells these images from
    any others, wherever they lie: how many of each class, and a digest of their pixels.
    """

    train: Split
    validation: Split
    task: Task
    mean: Tensor
    deviation: Tensor
    corrupt: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    white: float | None = 255.0
    content: Mapping[str, Any] = field(default_factory=dict)

    def normalise(self, images: Tensor) -> Tensor:
        """(N, C, H, W) images of this dataset as float32 with mean 0 and deviation 1 per channel of train."""
        mean, deviation = (
            each.to(images.device).view(1, -1, 1, 1)
            for each in (self.mean, self.deviation)
        )
        return torch.addcmul(-mean / deviation, images.float(), 1 / deviation)


OF_FILES = ("cifar10", "cifar100", "imagefolder", "parquet")
TEST_SHARE = 0.2


def load(
    data: DataSettings | str = "digits",
    device: torch.device | str = "cpu",
    progress: Progress = lambda what, done, total: None,
) -> Dataset:
    """Train and validation images, in the device's memory if half of what is free holds them.

    They are kept for the next call of the process. ``progress`` is told what is being done, how much of it is,
    and how much there is (0: unknown).

    Raises:
        ValueError: in one line, for a source that does not exist, images or labels that cannot be used, or a
            share that leaves nothing to train or validate on.
        OSError: for files that cannot be read or written.
    """
    settings = DataSettings(data) if isinstance(data, str) else data
    where = resolve_device(str(device))
    key = settings, where, _state(settings)
    dataset = _kept.pop(key, None) or _load(settings, where, progress)
    key = settings, where, _state(settings)  # a download has changed it
    while len(_kept) > 1:
        del _kept[next(iter(_kept))]
    _kept[key] = dataset
    return dataset


Key = tuple[DataSettings, torch.device, str]
_kept: dict[Key, Dataset] = {}  # the last used comes last


def _state(settings: DataSettings) -> str:
    """Another text whenever the images change on disk; nothing where there are none yet, or in memory."""
    if settings.name not in OF_FILES:
        return ""
    root = _place(settings)
    return (
        cache_key(find_files(settings.name, root).development)
        if root and root.exists()
        else ""
    )


def _load(settings: DataSettings, device: torch.device, progress: Progress) -> Dataset:
    found = (
        _from_files(settings, progress)
        if settings.name in OF_FILES
        else _from_memory(settings)
    )
    train, validation = found.splits["train"], found.splits["validation"]
    resolution = train.images.shape[-1]
    small = (
        resolution <= SMALL_IMAGES if found.small_images is None else found.small_images
    )
    task = Task(len(found.classes), resolution, train.images.shape[1], small)
    if _fits(train, validation, device=device):
        train, validation = train.to(device), validation.to(device)
    mean, deviation = (
        torch.tensor(each, device=device) for each in (found.mean, found.deviation)
    )
    return Dataset(
        train,
        validation,
        task,
        mean,
        deviation,
        tuple(found.corrupt),
        tuple(found.classes),
        found.white,
        found.content,
    )


def load_test(
    data: DataSettings | str = "digits",
    progress: Progress = lambda what, done, total: None,
) -> Split:
    """The test images, on the CPU, for the last word on a network already chosen.

    Whatever picks a network must not see them. ``take`` brings them to a device, and the dataset's
    ``normalise`` makes them what the network was trained on. Raises as ``load`` does.
    """
    settings = DataSettings(data) if isinstance(data, str) else data
    if settings.name in OF_FILES:
        return _test_from_files(settings, progress)
    return source_in_memory(settings, OF_FILES).test


def check_test(data: DataSettings | str, dataset: Dataset) -> None:
    """Read the test images' labels and a few of the images, before anything is paid for.

    Raises:
        ValueError: as ``load_test`` would in the end.
    """
    settings = DataSettings(data) if isinstance(data, str) else data
    if settings.name not in OF_FILES:
        return  # checked with the source
    files = find_files(settings.name, _root(settings, lambda what, done, total: None))
    if files.test:
        listing = read_listing(settings.name, files.test, list(dataset.classes))
        probe(listing, dataset.task.resolution, dataset.task.channels)


def _fits(*splits: Split, device: torch.device) -> bool:
    """Whether the images are to lie on the device: at most half of what is free, training needs the rest."""
    if device.type == "cpu":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return sum(split.images.nbytes for split in splits) <= free / 2


def _from_memory(settings: DataSettings) -> Decoded:
    source = source_in_memory(settings, OF_FILES)
    labels = source.development.labels.numpy()
    train, validation = (
        source.development.at(part) for part in _split(labels, settings, None)
    )
    mean, deviation = statistics(train.images.permute(0, 2, 3, 1).numpy())
    classes = [str(label) for label in range(labels.max() + 1)]
    splits = {"train": train, "validation": validation}
    white = 255.0 if train.images.dtype == torch.uint8 else source.white
    content = content_of(splits, classes)
    return Decoded(
        splits, classes, mean, deviation, [], content, source.small_images, white
    )


def _from_files(settings: DataSettings, progress: Progress) -> Decoded:
    root = _root(settings, progress)
    files = find_files(settings.name, root)

    def contents() -> Contents:
        listing = read_listing(settings.name, files.development)
        kept = np.arange(len(listing.labels))
        if not files.test:
            test, kept = _hold_out_test(listing)
            log.warning(
                "%s has no test images: %d of its %d are kept for that",
                root,
                len(test),
                len(test) + len(kept),
            )
        train, validation = _split(listing.labels[kept], settings, listing.keys[kept])
        _tell_unvalidated(root, listing, kept[validation])
        return listing, {"train": kept[train], "validation": kept[validation]}

    facts = asdict(settings)
    decisive = {
        name: facts[name]
        for name in ("validation", "split_seed", "subset", "resolution")
    }
    key = cache_key(files.development, tested=bool(files.test), **decisive)
    folder = cache_folder(settings.cache) / f"{settings.name}-{key}"
    return decoded(
        folder, contents, (settings.resolution, None), settings.max_corrupt, progress
    )


def _test_from_files(settings: DataSettings, progress: Progress) -> Split:
    """Decoded like the images that the networks were trained on, which are decoded first if they are not yet."""
    development = _from_files(settings, progress)
    channels, resolution = development.splits["train"].images.shape[1:3]
    files = find_files(settings.name, _root(settings, progress))

    def contents() -> Contents:
        if not files.test:
            listing = read_listing(settings.name, files.development)
            return listing, {"test": _hold_out_test(listing)[0]}
        listing = read_listing(settings.name, files.test, development.classes)
        return listing, {"test": np.arange(len(listing.labels))}

    shape = resolution, channels
    key = cache_key(
        files.test or files.development, shape=shape, tested=bool(files.test)
    )
    folder = cache_folder(settings.cache) / f"{settings.name}-test-{key}"
    return decoded(folder, contents, shape, settings.max_corrupt, progress).splits[
        "test"
    ]


def _hold_out_test(listing: Listing) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of images for the test and of the rest, whatever the settings: the test stays the same."""
    count = max(1, round(TEST_SHARE * len(listing.labels)))
    return stratified_by_key(listing.labels, listing.keys, count, seed=0)


def _tell_unvalidated(
    root: Path, listing: Listing, validation: NDArray[np.int64]
) -> None:
    counts = np.bincount(listing.labels[validation], minlength=len(listing.classes))
    if not counts.all():
        names = ", ".join(np.asarray(listing.classes)[counts == 0][:5])
        log.warning(
            "%s: too few images of %s to have one for validation; all are trained on",
            root,
            names,
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
            f"data.download: only {' and '.join(ARCHIVES)} can be fetched, not {settings.name}"
        )
    if root is None:
        hint = ", or download: true" if settings.name in ARCHIVES else ""
        raise ValueError(
            f"data.root: {settings.name} needs the folder where its images are{hint}"
        )
    if settings.download:
        fetch_archive(settings.name, root, progress)
    return root


def _split(
    labels: NDArray[np.int64], settings: DataSettings, keys: NDArray[np.uint64] | None
) -> Parts:
    """Indices of the images to train and to validate with; by ``keys``, where images have names."""

    def draw(among: NDArray[np.int64], count: int, **rule: int) -> Parts:
        if keys is None:
            return stratified(labels[among], count, settings.split_seed, **rule)
        return stratified_by_key(
            labels[among], keys[among], count, settings.split_seed, **rule
        )

    classes, used = int(labels.max()) + 1, np.arange(len(labels))
    if settings.subset is not None:
        if not 2 * classes <= settings.subset <= len(labels):
            raise ValueError(
                f"data.subset: {settings.subset} must be from {2 * classes}, two images a class, to "
                f"{len(labels)}, which there are without test"
            )
        used = draw(used, settings.subset, at_least=2, keep=0)[0]
    count = round(settings.validation * len(used))
    if not 0 < count <= len(used) - classes:
        raise ValueError(
            f"data.validation: {settings.validation} is {count} of {len(used)} images; at least 1 is needed, and "
            f"at most {len(used) - classes}, which leaves one a class to train with"
        )
    validation, train = draw(used, count)
    return used[train], used[validation]
