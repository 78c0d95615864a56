"""Images and their labels before any is decoded, and the words by which folders and files tell their split."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evaluators.data.decode import Entry
from evaluators.data.partition import Indices

SPLIT_WORDS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "eval", "evaluation"),
    "validation": ("val", "valid", "validation", "dev"),
}
"""As on the Hugging Face hub (docs: datasets, "Structure your repository"), in any case."""
FILES_A_JOB = 250
ROWS_A_JOB = 2000


class Listing(NamedTuple):
    """Image i is ``row[i]`` of ``containers[container[i]]``, a path and a row group; its class is ``labels[i]``.

    ``files`` are all that was read; ``kind`` is a ``decode.Entry``'s.
    """

    kind: str
    files: list[Path]
    containers: list[tuple[Path, int]]
    container: Indices
    row: Indices
    labels: Indices
    classes: list[str]

    def jobs(self, wanted: Indices) -> Iterator[list[Entry]]:
        """These images in the order they are stored in, each job some hundred files or rows of one container."""
        container = self.container[wanted]
        row = self.row[wanted]
        order = np.lexsort((row, container))
        if self.kind == "file":
            yield from self._files(order, container)
            return
        borders = np.flatnonzero(np.diff(container[order])) + 1
        for same in np.split(order, borders):
            path, group = self.containers[container[same[0]]]
            for part in _cut(same, ROWS_A_JOB):
                rows = row[part].tolist()
                positions = part.tolist()
                yield [Entry(self.kind, str(path), group, rows, positions)]

    def _files(self, order: Indices, container: Indices) -> Iterator[list[Entry]]:
        for part in _cut(order, FILES_A_JOB):
            files = (self.containers[index][0] for index in container[part])
            paths = [str(file) for file in files]
            yield [
                Entry("file", path, 0, [0], [int(at)])
                for path, at in zip(paths, part, strict=True)
            ]


def _cut(order: Indices, length: int) -> list[Indices]:
    return np.split(order, range(length, len(order), length))


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
    labels: Indices,
    classes: list[str],
) -> Listing:
    """``sizes`` are the containers' numbers of images."""
    container = np.repeat(np.arange(len(sizes)), sizes)
    # an empty listing is an empty array, too
    rows = [np.arange(size) for size in sizes] or [np.arange(0)]
    row = np.concatenate(rows)
    return Listing(kind, files, containers, container, row, labels, classes)


def checked_labels(values: object, path: Path, classes: int | None) -> Indices:
    """Labels as int64; ``ValueError`` naming the first that is none."""
    if not isinstance(values, list):
        raise ValueError(f"{path}: holds no labels")
    for row, value in enumerate(values):
        which = f"{path}: label {value!r} in row {row}"
        if type(value) is not int or value < 0:
            raise ValueError(f"{which} must be a whole number from 0")
        if classes is not None and value >= classes:
            raise ValueError(f"{which}, but there are {classes} classes")
        # some other number, an identifier say: counting up to it would take the memory
        if value >= 1_000_000:
            raise ValueError(f"{which}; labels must count from 0")
    return np.asarray(values, dtype=np.int64)
