"""Images and their labels before any is decoded, and the words by which folders and files tell their split."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SPLIT_WORDS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "eval", "evaluation"),
    "validation": ("val", "valid", "validation", "dev"),
}
"""As on the Hugging Face hub (docs: datasets, "Structure your repository"), in any case."""


class Listing(NamedTuple):
    """Image i is ``row[i]`` of ``containers[container[i]]``, a path and a row group; its class is ``labels[i]``.

    ``files`` are all that was read; ``kind`` is a ``decode.Entry``'s. ``keys`` (uint64) come from the images'
    names alone, so that a file more leaves those of the others.
    """

    kind: str
    files: list[Path]
    containers: list[tuple[Path, int]]
    container: NDArray[np.int64]
    row: NDArray[np.int64]
    labels: NDArray[np.int64]
    classes: list[str]
    keys: NDArray[np.uint64]


class Files(NamedTuple):
    """Where a source's images lie. Without ``test``, some of ``development`` are kept for it."""

    development: list[Path]
    test: list[Path]


def split_named(name: str) -> str | None:
    """The split that a folder's or file's name says: a word of its own, between ``-._``, blanks and digits.

    Raises:
        ValueError: if it says two.
    """
    words = set(re.split(r"[-._\s0-9]+", name.lower()))
    found = [split for split, known in SPLIT_WORDS.items() if words & set(known)]
    if len(found) > 1:
        raise ValueError(f"{name}: is it {found[0]} or {found[1]}? Its name says both")
    return found[0] if found else None


def listed(
    kind: str,
    files: list[Path],
    containers: list[tuple[Path, int]],
    sizes: list[int],
    labels: NDArray[np.int64],
    classes: list[str],
    names: list[str],
) -> Listing:
    """``names`` are those of the containers, wherever their folder lies."""
    container = np.repeat(np.arange(len(sizes)), sizes)
    row = np.concatenate([np.arange(size) for size in sizes]) if sizes else np.arange(0)
    keys = np.fromiter(
        (
            _hashed(names[index], number)
            for index, number in zip(container, row, strict=True)
        ),
        np.uint64,
        len(row),
    )
    return Listing(kind, files, containers, container, row, labels, classes, keys)


def _hashed(name: str, row: int) -> int:
    text = f"{name}\0{row}".encode(errors="surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())


def checked_labels(
    values: object, path: Path, classes: int | None
) -> NDArray[np.int64]:
    """Labels as int64; ``ValueError`` naming the first that is none."""
    if not isinstance(values, list):
        raise ValueError(f"{path}: holds no labels")
    for row, value in enumerate(values):
        if type(value) is not int or value < 0:
            raise ValueError(
                f"{path}: label {value!r} in row {row} must be a whole number from 0"
            )
        if classes is not None and value >= classes:
            raise ValueError(
                f"{path}: label {value} in row {row}, but there are {classes} classes"
            )
        if value >= 1_000_000:
            raise ValueError(
                f"{path}: label {value} in row {row}; labels must count from 0"
            )
    return np.asarray(values, dtype=np.int64)
