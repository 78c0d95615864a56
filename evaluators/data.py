"""Labelled images, decoded once and held as tensors.

A source gives the images a search may see (``development``) and those it may not (``test``). ``load`` splits
the former into train and validation; only ``load_test`` gives out the latter. A new built-in source is one
function and one line in ``SOURCES``; a user's own is named ``"module:function"``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache

import torch
from torch import Tensor

from search_spaces import Task
from search_spaces.extension import import_named

from .device import resolve_device
from .split import Source, Split
from .stratify import stratified

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class DataSettings:
    """Which images, and how they are cut up; plain values, so that it can be sent and compared.

    Attributes:
        name: a built-in source, or ``module:function`` that returns a ``Source``.
        root: folder or file that holds the images.
        validation: share of the images that is held out of train, the test images not counted.
        split_seed: decides which.
        subset: use so many images, train and validation together, every class in proportion; None: all.
        resolution: side in pixels that images are decoded at; None: their own.
        download: fetch what is missing, where the source knows an address.
        max_corrupt: share of images that may be unreadable and are left out.
        cache: folder for decoded images; None: ``$SPLITSEARCH_CACHE``, or ``splitsearch`` in the user's cache.

    Raises:
        ValueError: naming the field that is wrong.
    """

    name: str = "digits"
    root: str | None = None
    validation: float = 0.25
    split_seed: int = 0
    subset: int | None = None
    resolution: int | None = None
    download: bool = False
    max_corrupt: float = 0.01
    cache: str | None = None

    def __post_init__(self) -> None:
        wrong = {
            "validation must lie between 0 and 1, both excluded": not 0 < self.validation < 1,
            "split_seed must not be negative": self.split_seed < 0,
            "subset must be at least 1": self.subset is not None and self.subset < 1,
            "resolution must be at least 1": self.resolution is not None and self.resolution < 1,
            "max_corrupt must be at least 0 and below 1": not 0 <= self.max_corrupt < 1,
        }
        for rule, broken in wrong.items():
            if broken:
                name = rule.partition(" ")[0]
                raise ValueError(f"data: {rule}; got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class Dataset:
    """What the search sees. ``mean`` and ``deviation`` are (C,) floats per channel of ``train``, on the device."""

    train: Split
    validation: Split
    task: Task
    mean: Tensor
    deviation: Tensor

    def normalise(self, images: Tensor) -> Tensor:
        """(N, C, H, W) images of this dataset as float32 with mean 0 and deviation 1 per channel of train."""
        mean, deviation = (each.to(images.device).view(1, -1, 1, 1) for each in (self.mean, self.deviation))
        return (images.float() - mean) / deviation


def digits() -> Source:
    """scikit-learn's scanned handwritten digits: 8x8 pixels, 10 classes; 1437 to search with, 360 to test.

    Alpaydin and Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images * 15).to(torch.uint8).unsqueeze(1)  # grey values 0 to 16
    everything = Split(images, torch.from_numpy(bunch.target).long())
    test, development = (everything.at(part) for part in stratified(bunch.target, 360, seed=0))
    return Source(development, test, small_images=True)


SOURCES: dict[str, Callable[[], Source]] = {"digits": digits}


def load(
    data: DataSettings | str = "digits", device: torch.device | str = "cpu", progress: Progress | None = None
) -> Dataset:
    """Train and validation images, held on the device if they fit, and kept for the next call of the process.

    ``progress`` is told what is being done, how much is done and how much there is.

    Raises:
        ValueError: for a source that does not exist, or a share that leaves nothing to train or validate on.
    """
    settings = DataSettings(data) if isinstance(data, str) else data
    return _load(settings, resolve_device(str(device)))


@lru_cache(maxsize=2)
def _load(settings: DataSettings, device: torch.device) -> Dataset:
    source = _source(settings.name)
    train, validation = _split(source.development, settings)
    task = Task(
        num_classes=int(source.development.labels.max()) + 1,
        resolution=train.images.shape[-1],
        channels=train.images.shape[1],
        small_images=source.small_images,
    )
    mean, deviation = _statistics(train.images)
    return Dataset(train.to(device), validation.to(device), task, mean.to(device), deviation.to(device))


def load_test(
    data: DataSettings | str = "digits", device: torch.device | str = "cpu", progress: Progress | None = None
) -> Split:
    """The test images, for the last word on a network already chosen; normalise them as ``load``'s Dataset does.

    Whatever picks a network must not have seen them.
    """
    settings = DataSettings(data) if isinstance(data, str) else data
    return _source(settings.name).test.to(resolve_device(str(device)))


@cache
def _source(name: str) -> Source:
    if name in SOURCES:
        return SOURCES[name]()
    try:
        source = import_named(name, "data", SOURCES)()
    except TypeError as error:
        raise ValueError(f"data {name!r} must be callable without arguments: {error}") from error
    if not isinstance(source, Source):
        raise ValueError(f"data {name!r} must return an evaluators.Source, not {type(source).__name__}")
    shape = tuple(source.development.images.shape)
    if len(shape) != 4 or shape[2] != shape[3]:
        raise ValueError(f"data {name!r} must have square images (N, C, H, W), not {shape}")
    return source


def _split(everything: Split, settings: DataSettings) -> tuple[Split, Split]:
    count = round(settings.validation * len(everything.labels))
    held_out, rest = stratified(everything.labels.numpy(), count, settings.split_seed)
    return everything.at(rest), everything.at(held_out)


def _statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation per channel, in double precision, a thousand images at a time."""
    sums = torch.zeros(2, images.shape[1], dtype=torch.float64)
    for some in images.split(1024):
        some = some.double()
        sums += torch.stack([some.sum((0, 2, 3)), some.square().sum((0, 2, 3))])
    mean, square = sums / (images.numel() / images.shape[1])
    return mean.float(), (square - mean.square()).clamp_min(0).sqrt().clamp_min(1e-6).float()
