"""Labelled images, decoded once and held as tensors.

A source has images that a search may see (``development``) and those it may not (``test``). ``load`` splits
the former into train and validation; only ``load_test`` reads the latter. A user's own source is named
``"module:function"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from evaluators.data.cache import Decoded
from evaluators.data.content import content_of
from evaluators.data.from_files import (
    OF_FILES,
    check_test_files,
    from_files,
    state_of_files,
    test_from_files,
)
from evaluators.data.in_memory import source_in_memory
from evaluators.data.partition import divide
from evaluators.data.progress import Progress, silent
from evaluators.data.settings import DataSettings
from evaluators.data.split import Split, statistics
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
    content: Mapping[str, object] = field(default_factory=dict)

    def normalise(self, images: Tensor) -> Tensor:
        """(N, C, H, W) images of this dataset as float32 with mean 0 and deviation 1 per channel of train."""
        mean, deviation = (
            each.to(images.device).view(1, -1, 1, 1)
            for each in (self.mean, self.deviation)
        )
        # (x - mean) / deviation in one pass over the images
        # (images - mean) / deviation, in one step
        scale = 1 / deviation
        return torch.addcmul(-mean / deviation, images.float(), scale)


def load(
    data: DataSettings | str = "digits",
    device: torch.device | str = "cpu",
    progress: Progress = silent,
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
    # taken out and put back at the end: a dictionary keeps the order of insertion
    dataset = _kept.pop(key, None) or _load(settings, where, progress)
    key = settings, where, _state(settings)  # a download has changed it
    # two are kept: a search and a study beside it take turns
    while len(_kept) > 1:
        del _kept[next(iter(_kept))]
    _kept[key] = dataset
    return dataset


Key = tuple[DataSettings, torch.device, str]
_kept: dict[Key, Dataset] = {}  # the last used comes last


def _state(settings: DataSettings) -> str:
    return state_of_files(settings) if settings.name in OF_FILES else ""


def _load(settings: DataSettings, device: torch.device, progress: Progress) -> Dataset:
    found = (
        from_files(settings, progress)
        if settings.name in OF_FILES
        else _from_memory(settings)
    )
    train = found.splits["train"]
    validation = found.splits["validation"]
    task = _task_of(train, found)
    if _fits(train, validation, device=device):
        train = train.to(device)
        validation = validation.to(device)
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


def _task_of(train: Split, found: Decoded) -> Task:
    """What the images ask of a network; a source may know better than their size whether they are small."""
    _, channels, _, resolution = train.images.shape
    small = found.small_images
    if small is None:
        small = resolution <= SMALL_IMAGES
    return Task(len(found.classes), resolution, channels, small)


def load_test(
    data: DataSettings | str = "digits",
    progress: Progress = silent,
) -> Split:
    """The test images, on the CPU, for the last word on a network already chosen.

    Whatever picks a network must not see them. ``take`` brings them to a device, and the dataset's
    ``normalise`` makes them what the network was trained on. Raises as ``load`` does.
    """
    settings = DataSettings(data) if isinstance(data, str) else data
    if settings.name in OF_FILES:
        return test_from_files(settings, progress)
    return source_in_memory(settings, OF_FILES).test


def check_test(data: DataSettings | str, dataset: Dataset) -> None:
    """Read the test images' labels and a few of the images, before anything is paid for.

    Raises:
        ValueError: as ``load_test`` would in the end.
    """
    settings = DataSettings(data) if isinstance(data, str) else data
    if settings.name in OF_FILES:  # others are checked with their source
        task = dataset.task
        check_test_files(
            settings, list(dataset.classes), task.resolution, task.channels
        )


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
        source.development.at(part) for part in divide(labels, settings, None)
    )
    pixels_last = train.images.permute(0, 2, 3, 1)
    mean, deviation = statistics(pixels_last.numpy())
    classes = [str(label) for label in range(labels.max() + 1)]
    splits = {"train": train, "validation": validation}
    white = 255.0 if train.images.dtype == torch.uint8 else source.white
    content = content_of(splits, classes)
    return Decoded(
        splits, classes, mean, deviation, [], content, source.small_images, white
    )
