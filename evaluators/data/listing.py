"""Which images there are and their labels, before any is decoded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluators.data.decode import image_column, read_cifar

IMAGE_SUFFIXES = frozenset(
    [".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"]
)
TEST_FOLDERS = ("test", "val", "validation")


class Listing(NamedTuple):
    """Image i is ``row[i]`` of ``containers[container[i]]``, a path and a row group; its class is ``labels[i]``.

    ``files`` are all that was read; ``kind`` is a ``decode.Entry``'s.
    """

    kind: str
    files: list[Path]
    containers: list[tuple[Path, int]]
    container: NDArray[np.int64]
    row: NDArray[np.int64]
    labels: NDArray[np.int64]
    classes: list[str]


class Files(NamedTuple):
    """Where a source's images lie. Without ``test``, some of ``development`` are kept for it."""

    development: list[Path]
    test: list[Path]


def find_files(name: str, root: Path) -> Files:
    """The files or folders of a built-in source; raises ``ValueError`` if there are none."""
    if not root.exists():
        raise ValueError(f"data.root: {root} does not exist")
    if name == "imagefolder":
        return _find_folders(root)
    if name != "parquet" and (folder := _cifar_folder(name, root)):
        development = [folder / file for file in CIFAR_FILES[name][0]]
        test = [folder / file for file in CIFAR_FILES[name][1]]
        if missing := [path for path in development if not path.is_file()]:
            raise ValueError(f"{missing[0]}: is missing; fetch {name} again")
        return Files(development, test)
    return _find_shards(name, root)


def read_listing(name: str, files: Sequence[Path], classes: list[str] | None = None) -> Listing:
    """All labels of ``files``. ``classes`` are those of the development images, if these are others.

    Raises:
        ValueError: naming the file and row, for what cannot be read, is no label or has no class.
        OSError: for what may not be read.
    """
    if name == "imagefolder":
        listing = _read_folders(files[0], classes)
    elif files[0].suffix == ".parquet":
        listing = _read_shards(name, files, classes)
    else:
        listing = _read_cifar(name, files)
    if not len(listing.labels):
        raise ValueError(f"{files[0]}: holds no images")
    if len(listing.classes) != CIFAR_CLASSES.get(name, len(listing.classes)):
        raise ValueError(f"{files[0]}: has {len(listing.classes)} classes, {name} has {CIFAR_CLASSES[name]}")
    if len(listing.classes) < 2:
        raise ValueError(
            f"{files[0]}: has one class, {listing.classes[0]!r}; there must be two at least to tell apart"
        )
    counts = np.bincount(listing.labels, minlength=len(listing.classes))
    if classes is None and (few := np.flatnonzero(counts < 2)).size:
        label = int(few[0])
        number = "one image, and 2 are the least" if counts[label] else "no images"
        raise ValueError(f"{files[0]}: class {listing.classes[label]!r} (label {label}) has {number}")
    return listing


CIFAR_FILES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cifar10": (tuple(f"data_batch_{number}" for number in range(1, 6)), ("test_batch",)),
    "cifar100": (("train",), ("test",)),
}
CIFAR_FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
CIFAR_CLASSES = {"cifar10": 10, "cifar100": 100}


def _cifar_folder(name: str, root: Path) -> Path | None:
    folders = (root, root / CIFAR_FOLDERS[name])
    return next((folder for folder in folders if (folder / CIFAR_FILES[name][0][0]).is_file()), None)


def _read_cifar(name: str, files: Sequence[Path]) -> Listing:
    key = "labels" if name == "cifar10" else "fine_labels"
    labels, sizes = [], []
    for path in files:
        content = read_cifar(str(path))
        found = _checked(content.get(key), path, CIFAR_CLASSES[name])
        if len(found) != len(content["data"]):
            raise ValueError(f"{path}: {len(content['data'])} images and {len(found)} labels")
        labels.append(found)
        sizes.append(len(found))
    classes = [str(label) for label in range(CIFAR_CLASSES[name])]
    return _listing(
        "cifar", list(files), [(path, 0) for path in files], sizes, np.concatenate(labels), classes
    )


def _listing(
    kind: str,
    files: list[Path],
    containers: list[tuple[Path, int]],
    sizes: list[int],
    labels: NDArray[np.int64],
    classes: list[str],
) -> Listing:
    container = np.repeat(np.arange(len(sizes)), sizes)
    row = np.concatenate([np.arange(size) for size in sizes]) if sizes else np.arange(0)
    return Listing(kind, files, containers, container, row, labels, classes)


def _find_shards(name: str, root: Path) -> Files:
    """Parquet files by the split their name begins with: train, test, val or validation."""
    if root.is_file():
        if root.suffix != ".parquet":
            raise ValueError(f"data.root: {root} is neither a folder nor a .parquet file")
        return Files([root], [])
    shards = sorted(root.glob("**/*.parquet"))
    if not shards:
        looked_for = "no" if name == "parquet" else f"neither {CIFAR_FOLDERS[name]} nor"
        raise ValueError(f"data.root: {root} holds {looked_for} *.parquet")
    by_split = {
        split: [path for path in shards if path.name.startswith(split)] for split in ("train", *TEST_FOLDERS)
    }
    test = next((by_split[split] for split in ("test", "val") if by_split[split]), [])
    if development := by_split["train"]:
        return Files(development, test)
    if test:
        raise ValueError(f"data.root: {root} holds {test[0].name} and no train*.parquet")
    return Files(shards, [])


def _read_shards(name: str, files: Sequence[Path], classes: list[str] | None) -> Listing:
    import pyarrow as pa
    from pyarrow import parquet

    labels, containers, sizes = [], [], []
    names = classes
    for path in files:
        try:
            with parquet.ParquetFile(path) as file:
                image_column(file.schema_arrow)
                column, known = _label_column(file.schema_arrow, name)
                names = names or known
                values = file.read([column], use_threads=False).column(0)
                groups = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        except (pa.ArrowException, ValueError, KeyError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # Arrow's for damage has no number
                raise
            raise ValueError(f"{path}: not a readable parquet file of images ({error})") from error
        labels.append(_checked(values.to_pylist(), path, len(names) if names else None))
        containers += [(path, group) for group in range(len(groups))]
        sizes += groups
    found = np.concatenate(labels)
    names = names or [str(label) for label in range(found.max(initial=-1) + 1)]
    return _listing("parquet", list(files), containers, sizes, found, names)


def _label_column(schema: Any, name: str) -> tuple[str, list[str] | None]:
    """The column of labels and, where Hugging Face's metadata tell them, the names of its classes."""
    import json

    candidates = (
        ("fine_label", "label", "labels") if name == "cifar100" else ("label", "labels", "fine_label")
    )
    column = next((candidate for candidate in candidates if candidate in schema.names), None)
    if column is None:
        raise ValueError(f"no column label, only {', '.join(schema.names)}")
    described = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    feature = described.get("info", {}).get("features", {}).get(column, {})
    return column, feature.get("names")


def _checked(values: object, path: Path, classes: int | None) -> NDArray[np.int64]:
    """Labels as int64; ``ValueError`` naming the first that is none."""
    if not isinstance(values, list):
        raise ValueError(f"{path}: holds no labels")
    for row, value in enumerate(values):
        if type(value) is not int or value < 0:
            raise ValueError(f"{path}: label {value!r} in row {row} must be a whole number from 0")
        if classes is not None and value >= classes:
            raise ValueError(f"{path}: label {value} in row {row}, but there are {classes} classes")
        if value >= 1_000_000:
            raise ValueError(f"{path}: label {value} in row {row}; labels must count from 0")
    return np.asarray(values, dtype=np.int64)


def _find_folders(root: Path) -> Files:
    if not root.is_dir():
        raise ValueError(f"data.root: {root} is no folder")
    if not (root / "train").is_dir():
        return Files([root], [])
    test = next((root / name for name in TEST_FOLDERS if _folders(root / name)), None)
    return Files([root / "train"], [test] if test else [])


def _folders(root: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(root) if entry.is_dir()) if root.is_dir() else []


def _read_folders(root: Path, classes: list[str] | None) -> Listing:
    """A folder a class; other files than images are passed over, hidden ones too."""
    found = [name for name in _folders(root) if not name.startswith(".")]
    if not found:
        raise ValueError(f"{root}: needs a folder of images for each class")
    if unknown := sorted(set(found) - set(classes or found)):
        raise ValueError(f"{root / unknown[0]}: there is no such class among the images to train with")
    classes = classes or found
    files: list[Path] = []
    labels: list[int] = []
    for name in found:
        inside = sorted(
            Path(entry.path)
            for entry in os.scandir(root / name)
            if Path(entry.name).suffix.lower() in IMAGE_SUFFIXES
            and not entry.name.startswith(".")
            and (entry.is_file() or entry.is_symlink())  # a link to nothing is an image that cannot be read
        )
        files += inside
        labels += [classes.index(name)] * len(inside)
    containers = [(path, 0) for path in files]
    return _listing("file", files, containers, [1] * len(files), np.asarray(labels, dtype=np.int64), classes)
