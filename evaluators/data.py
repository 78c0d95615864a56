"""Labelled images, decoded once and held as tensors.

A source gives the images a search may see (``development``) and those it may not (``test``). ``load`` splits
the former into train and validation; only ``load_test`` gives out the latter. A new built-in source is one
function and one line in ``SOURCES``; a user's own is named ``"module:function"``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from search_spaces import Task
from search_spaces.extension import import_named


class Split(NamedTuple):
    """``images`` (N, C, H, W) float32 and ``labels`` (N,) int64."""

    images: Tensor
    labels: Tensor

    def to(self, device: torch.device | str) -> Split:
        return Split(self.images.to(device), self.labels.to(device))


class Source(NamedTuple):
    """What a source returns; images are not normalised yet. Labels count from 0."""

    development: Split
    test: Split
    small_images: bool


@dataclass(frozen=True, eq=False)
class Dataset:
    """What the search sees, normalised with the mean and deviation per channel of ``train``."""

    train: Split
    validation: Split
    task: Task


def digits() -> Source:
    """scikit-learn's scanned handwritten digits: 8x8 pixels, 10 classes; 1437 to search with, 360 to test.

    Alpaydin and Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images).float().div_(16).unsqueeze(1)
    development, test = _stratified(Split(images, torch.from_numpy(bunch.target).long()), 360, seed=0)
    return Source(development, test, small_images=True)


SOURCES: dict[str, Callable[[], Source]] = {"digits": digits}


def load(name: str, *, validation: float = 0.2, seed: int = 0, device: str = "cpu") -> Dataset:
    """Train and validation images of a source, held on the device and kept for the next call of the process.

    ``validation`` is its share of all images, test included: of the digits 1078 train and 359 validate.
    ``seed`` decides which; the test images stay the same.

    Raises:
        ValueError: for a source that does not exist, or a share that leaves nothing to train or validate on.
    """
    return _load(name, validation, seed, device)


@lru_cache(maxsize=2)
def _load(name: str, validation: float, seed: int, device: str) -> Dataset:
    source = _source(name)
    train, held_out, mean, deviation = _split(source, validation, seed)
    task = Task(
        num_classes=int(source.development.labels.max()) + 1,
        resolution=train.images.shape[-1],
        channels=train.images.shape[1],
        small_images=source.small_images,
    )
    train, held_out = (Split((s.images - mean) / deviation, s.labels).to(device) for s in (train, held_out))
    return Dataset(train, held_out, task)


def load_test(name: str, *, validation: float = 0.2, seed: int = 0, device: str = "cpu") -> Split:
    """The test images, normalised as ``load`` normalises, for the last word on a network already chosen.

    Whatever picks a network must not have seen them.
    """
    source = _source(name)
    *_, mean, deviation = _split(source, validation, seed)
    return Split((source.test.images - mean) / deviation, source.test.labels).to(device)


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


def _split(source: Source, validation: float, seed: int) -> tuple[Split, Split, Tensor, Tensor]:
    development = len(source.development.labels)
    count = round(validation * (development + len(source.test.labels)))
    if not 0 < count < development:
        raise ValueError(f"validation={validation} is {count} images; there are {development} without test")
    train, held_out = _stratified(source.development, count, seed)
    mean = train.images.mean((0, 2, 3), keepdim=True)
    deviation = train.images.std((0, 2, 3), keepdim=True).clamp_min(1e-6)
    return train, held_out, mean, deviation


def _stratified(split: Split, held_out: int, seed: int) -> tuple[Split, Split]:
    from sklearn.model_selection import train_test_split

    indices = torch.arange(len(split.labels)).numpy()
    parts = train_test_split(indices, test_size=held_out, random_state=seed, stratify=split.labels.numpy())
    kept, out = (Split(split.images[part], split.labels[part]) for part in parts)
    return kept, out
