"""Images as files, in a folder for each class."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from evaluators.data.files.listing import Files, Listing, listed, split_named

_log = logging.getLogger("splitsearch.data")
UNREADABLE = frozenset(["BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"])
"""Formats that Pillow knows by name only, or reads with the help of other programs."""


@cache
def image_suffixes() -> frozenset[str]:
    """In lower case, of what Pillow reads here, plugins such as pillow_heif included."""
    formats = Image.registered_extensions()
    return frozenset(
        suffix
        for suffix, name in formats.items()
        if name in Image.OPEN and name not in UNREADABLE
    )


def find_folders(root: Path) -> Files:
    """``train`` and ``test`` (or ``val``) by any of their names, else the folders of classes themselves.

    Raises:
        ValueError: if there is no folder, a test without a train, or a split twice.
    """
    if not root.is_dir():
        raise ValueError(f"data.root: {root} is no folder")
    by_split: dict[str, str] = {}
    for name in class_folders(root):
        split = split_named(name) if _is_split(name) else None
        if split in by_split:
            raise ValueError(
                f"data.root: {root} holds {by_split[split]} and {name}; which is {split}?"
            )
        if split and class_folders(root / name):
            by_split[split] = name
    if "train" in by_split:
        test = by_split.get("test") or by_split.get("validation")
        return Files([root / by_split["train"]], [root / test] if test else [])
    if by_split.keys() and len(by_split) == len(class_folders(root)):
        raise ValueError(
            f"data.root: {root} holds {next(iter(by_split.values()))} and no train"
        )
    match class_folders(root):
        # archives are often unpacked into a folder of their own name
        case [only] if class_folders(root / only):
            return find_folders(root / only)
    return Files([root], [])


def _is_split(name: str) -> bool:
    """A class may be called ``crash test``: only a folder of that one word is a split."""
    return name.isalpha()


def class_folders(root: Path) -> list[str]:
    """Names of the folders in ``root``, without hidden ones, ``__MACOSX`` and the like."""
    found = (entry.name for entry in os.scandir(root) if entry.is_dir())
    return sorted(name for name in found if not name.startswith((".", "__")))


def class_files(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """The files of a class by their path inside it, sub-folders included, links followed; none hidden."""
    seen = {os.path.realpath(folder)}
    waiting = [("", str(folder))]
    while waiting:
        prefix, path = waiting.pop()
        for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
            if entry.name.startswith("."):
                continue
            if not entry.is_dir():
                yield prefix + entry.name, entry
            # a link back to a folder above would never end
            elif (real := os.path.realpath(entry.path)) not in seen:
                seen.add(real)
                waiting.append((f"{prefix}{entry.name}/", entry.path))


def is_image(entry: os.DirEntry[str]) -> bool:
    """By its suffix; a link to nothing is an image that cannot be read, a pipe or socket is none."""
    suffix = Path(entry.name).suffix.lower()
    return suffix in image_suffixes() and (entry.is_file() or entry.is_symlink())


def read_folders(root: Path, classes: list[str] | None) -> Listing:
    """A folder a class; what is passed over is told in one line.

    Raises:
        ValueError: for no classes, one that ``classes`` lacks, or a name that no model folder could hold.
    """
    found = class_folders(root)
    if not found:
        raise ValueError(f"{root}: needs a folder of images for each class")
    if unknown := sorted(set(found) - set(classes or found)):
        raise ValueError(
            f"{root / unknown[0]}: there is no such class among the images to train with"
        )
    for name in found:
        _check_name(root, name)
    classes = classes or found
    paths: list[Path] = []
    labels: list[int] = []
    others: Counter[str] = Counter()
    for name in found:
        for _, entry in class_files(root / name):
            if is_image(entry):
                paths.append(Path(entry.path))
                labels.append(classes.index(name))
            else:
                others[Path(entry.name).suffix.lower() or "without a suffix"] += 1
    _tell(root, len(paths), len(found), others)
    containers = [(path, 0) for path in paths]
    numbers = np.asarray(labels, np.int64)
    return listed("file", paths, containers, [1] * len(paths), numbers, classes)


def _check_name(root: Path, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raw = os.fsencode(name)
        raise ValueError(
            f"{root}: the class folder {raw!r} has a name that is not UTF-8; rename it"
        ) from None


def _tell(root: Path, images: int, classes: int, others: Counter[str]) -> None:
    text = f"{root}: {images} images of {classes} classes"
    if others:
        kinds = ", ".join(
            f"{count} {suffix}" for suffix, count in others.most_common(5)
        )
        _log.warning("%s; passed over, as no images that can be read: %s", text, kinds)
    else:
        _log.info("%s", text)
