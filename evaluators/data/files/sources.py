"""The built-in sources that lie in files: where each has its images, and their labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evaluators.data.decode import read_cifar, unpickled
from evaluators.data.files.folders import find_folders, read_folders
from evaluators.data.files.listing import Files, Listing, checked_labels, listed
from evaluators.data.files.shards import find_shards, read_shards


def find_files(name: str, root: Path) -> Files:
    """The files or folders of a built-in source; raises ``ValueError`` if there are none."""
    if not root.exists():
        raise ValueError(f"data.root: {root} does not exist")
    if name == "imagefolder":
        return find_folders(root)
    if name != "parquet" and (folder := _cifar_folder(name, root)):
        development = [folder / file for file in CIFAR_FILES[name][0]]
        test = [folder / file for file in CIFAR_FILES[name][1]]
        if missing := [path for path in development if not path.is_file()]:
            raise ValueError(f"{missing[0]}: is missing; fetch {name} again")
        return Files(development, test)
    return find_shards(
        root, "no" if name == "parquet" else f"neither {CIFAR_FOLDERS[name]} nor"
    )


def read_listing(
    name: str, files: Sequence[Path], classes: list[str] | None = None
) -> Listing:
    """All labels of ``files``. ``classes`` are those of the development images, if these are others.

    Raises:
        ValueError: naming the file and row, for what cannot be read, is no label or has no class.
        OSError: for what may not be read.
    """
    if name == "imagefolder":
        listing = read_folders(files[0], classes)
    elif files[0].suffix == ".parquet":
        listing = read_shards(name, files, classes)
    else:
        listing = _read_cifar(name, files)
    _check_listing(name, files[0], listing, of_development=classes is None)
    return listing


def _check_listing(
    name: str, first: Path, listing: Listing, *, of_development: bool
) -> None:
    """Whether there is enough to tell apart; ``first`` of the files is named in the error."""
    if not len(listing.labels):
        raise ValueError(f"{first}: holds no images")
    if len(listing.classes) != CIFAR_CLASSES.get(name, len(listing.classes)):
        raise ValueError(
            f"{first}: has {len(listing.classes)} classes, {name} has {CIFAR_CLASSES[name]}"
        )
    if len(listing.classes) < 2:
        raise ValueError(
            f"{first}: has one class, {listing.classes[0]!r}; there must be two at least to tell apart"
        )
    # two a class: one to train with, one to validate or test
    counts = np.bincount(listing.labels, minlength=len(listing.classes))
    if of_development and (few := np.flatnonzero(counts < 2)).size:
        label = int(few[0])
        number = "one image, and 2 are the least" if counts[label] else "no images"
        raise ValueError(
            f"{first}: class {listing.classes[label]!r} (label {label}) has {number}"
        )


CIFAR_FILES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cifar10": (
        tuple(f"data_batch_{number}" for number in range(1, 6)),
        ("test_batch",),
    ),
    "cifar100": (("train",), ("test",)),
}
CIFAR_FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
CIFAR_CLASSES = {"cifar10": 10, "cifar100": 100}


def _cifar_folder(name: str, root: Path) -> Path | None:
    folders = (root, root / CIFAR_FOLDERS[name])
    return next(
        (folder for folder in folders if (folder / CIFAR_FILES[name][0][0]).is_file()),
        None,
    )


def _read_cifar(name: str, files: Sequence[Path]) -> Listing:
    key = "labels" if name == "cifar10" else "fine_labels"
    labels = []
    sizes = []
    # two batches with the same content are one that was copied
    owners: dict[bytes, Path] = {}
    for path in files:
        content = read_cifar(str(path))
        found = checked_labels(content.get(key), path, CIFAR_CLASSES[name])
        if len(found) != len(content["data"]):
            raise ValueError(
                f"{path}: {len(content['data'])} images and {len(found)} labels"
            )
        _check_batch(path, hashlib.blake2b(content["data"].tobytes()).digest(), owners)
        labels.append(found)
        sizes.append(len(found))
    if len(set(sizes)) > 1:
        # official batches are equally long, so a short one was cut off
        odd = int(np.argmin(sizes))
        raise ValueError(
            f"{files[odd]}: has {sizes[odd]} images, another batch {max(sizes)}; fetch {name} again"
        )
    containers = [(path, 0) for path in files]
    together = np.concatenate(labels)
    classes = _cifar_classes(name, files[0].parent)
    return listed("cifar", list(files), containers, sizes, together, classes)


def _check_batch(path: Path, digest: bytes, owners: dict[bytes, Path]) -> None:
    if digest in owners:
        raise ValueError(
            f"{path}: holds the same images as {owners[digest].name}; fetch the data set again"
        )
    owners[digest] = path


def _cifar_classes(name: str, folder: Path) -> list[str]:
    """The names that lie beside the batches; numbers if that file is missing."""
    file, key = (
        ("batches.meta", "label_names")
        if name == "cifar10"
        else ("meta", "fine_label_names")
    )
    if not (folder / file).is_file():
        return [str(label) for label in range(CIFAR_CLASSES[name])]
    names = unpickled(str(folder / file)).get(key)
    if not isinstance(names, list) or len(names) != CIFAR_CLASSES[name]:
        raise ValueError(
            f"{folder / file}: holds no {CIFAR_CLASSES[name]} {key}; fetch {name} again"
        )
    return [str(each) for each in names]
