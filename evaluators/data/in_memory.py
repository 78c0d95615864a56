"""Sources that hold their images in memory: digits, and the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

import torch

from evaluators.data.partition import stratified
from evaluators.data.settings import DataSettings
from evaluators.data.split import Source, Split
from search_spaces.extension import import_named


def digits() -> Source:
    """scikit-learn's scanned handwritten digits: 8x8 pixels, 10 classes; 1437 to search with, 360 to test.

    Alpaydin and Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # grey values 0 to 16
    # 0 to 16 in the source
    grey = torch.from_numpy(bunch.images * 15).to(torch.uint8)
    images = grey.unsqueeze(1)
    everything = Split(images, torch.from_numpy(bunch.target).long())
    test, development = (
        everything.at(part) for part in stratified(bunch.target, 360, seed=0)
    )
    return Source(development, test, small_images=True)


IN_MEMORY: dict[str, Callable[[], Source]] = {"digits": digits}


def source_in_memory(settings: DataSettings, others: Iterable[str]) -> Source:
    """The built-in or the user's own source; ``others`` are the built-in ones that lie in files.

    Raises:
        ValueError: if it is none, or its images and labels cannot be used.
    """
    for name in ("root", "resolution", "download"):
        if getattr(settings, name):
            raise ValueError(
                f"data.{name}: {settings.name} takes none; its images come as they are"
            )
    return _checked_source(settings.name, tuple(others))


@cache
def _checked_source(name: str, others: tuple[str, ...]) -> Source:
    if name in IN_MEMORY:
        return IN_MEMORY[name]()
    source = _called(name, others)
    for split in source[:2]:
        _check_split(name, split)
    _check_test(name, source)
    counts = source.development.labels.bincount()
    if (few := (counts < 2).nonzero()).numel():
        raise ValueError(
            f"data {name!r} has {counts[few[0, 0]]} images of class {few[0, 0]}; 2 are the least"
        )
    return source


def _called(name: str, others: tuple[str, ...]) -> Source:
    """What the user's own function returns."""
    try:
        source = import_named(name, "data", [*IN_MEMORY, *others])()
    except TypeError as error:
        raise ValueError(
            f"data {name!r} must be callable without arguments: {error}"
        ) from error
    if not isinstance(source, Source):
        raise ValueError(
            f"data {name!r} must return an evaluators.Source, not {type(source).__name__}"
        )
    return source


def _check_test(name: str, source: Source) -> None:
    """What does not fit would be found after the last epoch."""
    ours = source.development
    theirs = source.test
    facts = {
        "images": (tuple(ours.images.shape[1:]), tuple(theirs.images.shape[1:])),
        "type": (ours.images.dtype, theirs.images.dtype),
    }
    for what, (development, test) in facts.items():
        if development != test:
            raise ValueError(
                f"data {name!r} has {what} {development} to train with and {test} to test with"
            )
    if (label := int(theirs.labels.max())) > (last := int(ours.labels.max())):
        raise ValueError(
            f"data {name!r} has test label {label}; those to train with end at {last}"
        )


def _check_split(name: str, split: Split) -> None:
    if wrong := _wrong(split):
        raise ValueError(f"data {name!r} {wrong}")


def _wrong(split: Split) -> str | None:
    """What is wrong with a user's images or labels, if anything."""
    shape = tuple(split.images.shape)
    labels = split.labels
    if len(shape) != 4 or shape[2] != shape[3]:
        return f"must have square images (N, C, H, W), not {shape}"
    if labels.dtype != torch.int64 or labels.shape != shape[:1]:
        given = f"{tuple(labels.shape)} {labels.dtype}"
        return f"must have {shape[0]} int64 labels, not {given}"
    if not len(labels):
        return "has no images; both parts of a Source need some"
    if labels.min() < 0:
        return f"has label {labels.min()}; labels count from 0"
    if not (split.images.dtype == torch.uint8 or split.images.isfinite().all()):
        return "has images with NaN or infinity"
    return None
