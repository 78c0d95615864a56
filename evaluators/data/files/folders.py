"""Images as files, in a folder for each class."""

from __future__ import annotations

import logging
import os
import unicodedata
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
        ValueError: if there is no folder, a test without a train, a split twice or
            without folders of classes, or a ``train`` that may be a class.
    """
    if not root.is_dir():
        raise ValueError(f"data.root: {root} is no folder")
    root = _entered(root)
    names = class_folders(root)
    splits = _splits(root, names)
    by_split = _by_split(root, splits)
    if "train" in by_split:
        # a val without a test is what one tests with
        test = by_split.get("test") or by_split.get("validation")
        if test is None:
            _check_no_class(root, by_split["train"], names)
        train = _entered(root / by_split["train"])
        return Files([train], [_entered(root / test)] if test else [])
    if splits and len(splits) == len(names):
        raise ValueError(f"data.root: {root} holds {names[0]} and no train")
    return Files([root], [])


def _by_split(root: Path, splits: dict[str, str]) -> dict[str, str]:
    """The folder of each split; ``ValueError`` if two would be one."""
    by_split: dict[str, str] = {}
    for name, split in splits.items():
        if split in by_split:
            raise ValueError(
                f"data.root: {root} holds {by_split[split]} and {name}; which is {split}?"
            )
        by_split[split] = name
    return by_split


def _entered(folder: Path) -> Path:
    """Archives are often unpacked into a folder of their own name."""
    match class_folders(folder):
        case [only] if class_folders(folder / only):
            # a folder called train is a split, not a wrapping
            if only == folder.name or not _said(only):
                return _entered(folder / only)
    return folder


def _splits(root: Path, names: list[str]) -> dict[str, str]:
    """Which of these folders are splits; ``ValueError`` if one of them holds images, not classes.

    A class may be called ``crash test``: where it takes a part of a name for its word, as in
    ``ILSVRC2012_img_val``, there must be a train with folders in it, and another split.
    """
    said = {name: split for name in names if (split := _said(name))}
    with_classes = {name for name in said if class_folders(root / name)}
    train = any(said[name] == "train" for name in with_classes)
    if not (train and len(set(said.values())) > 1):
        said = {name: split for name, split in said.items() if name.isalpha()}
    flat = [name for name in said if name not in with_classes]
    if train or len(said) == len(names):
        for name in flat:
            if any(map(is_image, [*os.scandir(root / name)])):
                raise ValueError(
                    f"{root / name}: needs a folder of images for each class"
                )
    return {name: split for name, split in said.items() if name in with_classes}


def _said(name: str) -> str | None:
    try:
        return split_named(name)
    except ValueError:  # two at once, so rather a class
        return None


def _check_no_class(root: Path, train: str, names: list[str]) -> None:
    """``car``, ``ship`` and ``train`` may be classes, each with folders inside."""
    for name in names:
        if name != train and class_folders(root / name):
            raise ValueError(
                f"data.root: {root} holds {train} and {name}; if {train} is the images "
                f"to train with, name {root / train}"
            )


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
    folders = class_folders(root)
    if not folders:
        raise ValueError(f"{root}: needs a folder of images for each class")
    found = {folder: _class_name(root, folder) for folder in folders}
    classes = classes or sorted(set(found.values()))
    paths: list[Path] = []
    labels: list[int] = []
    others: Counter[str] = Counter()
    for folder, name in found.items():
        if name not in classes:
            raise ValueError(
                f"{root / folder}: there is no such class among the images to train with"
            )
        images, passed_over = _images_in(root / folder)
        paths += images
        labels += [classes.index(name)] * len(images)
        others += passed_over
    beside = sum(map(is_image, os.scandir(root)))
    _tell(root, len(paths), len(found), others, beside)
    containers = [(path, 0) for path in paths]
    numbers = np.asarray(labels, np.int64)
    return listed("file", paths, containers, [1] * len(paths), numbers, classes)


def _images_in(folder: Path) -> tuple[list[Path], Counter[str]]:
    """The images of a class, and how many other files there are by suffix."""
    images: list[Path] = []
    others: Counter[str] = Counter()
    for _, entry in class_files(folder):
        if is_image(entry):
            images.append(Path(entry.path))
        else:
            others[Path(entry.name).suffix.lower() or "without a suffix"] += 1
    return images, others


def _class_name(root: Path, folder: str) -> str:
    """Composed (NFC): macOS writes ``é`` as two characters, others as one."""
    try:
        folder.encode()
    except UnicodeEncodeError:
        raw = os.fsencode(folder)
        raise ValueError(
            f"{root}: the class folder {raw!r} has a name that is not UTF-8; rename it"
        ) from None
    return unicodedata.normalize("NFC", folder)


def _tell(
    root: Path, images: int, classes: int, others: Counter[str], beside: int
) -> None:
    passed_over = []
    if others:
        kinds = ", ".join(
            f"{count} {suffix}" for suffix, count in others.most_common(5)
        )
        passed_over.append(f"passed over, as no images that can be read: {kinds}")
    if beside:
        passed_over.append(f"images beside the class folders, in no class: {beside}")
    level = logging.WARNING if passed_over else logging.INFO
    text = "; ".join([f"{root}: {images} images of {classes} classes", *passed_over])
    _log.log(level, "%s", text)
