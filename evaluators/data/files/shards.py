"""Images in parquet files, as on the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluators.data.decode import image_column
from evaluators.data.files.listing import (
    Files,
    Listing,
    checked_labels,
    listed,
    split_named,
)
from evaluators.data.partition import Indices


def find_shards(root: Path, looked_for: str) -> Files:
    """Parquet files by the split that their name says, or a folder above them does; without any, all are train.

    Raises:
        ValueError: if there are none, some say no split while others do, or one split lies in two places,
            as those of two configurations or snapshots do.
    """
    if root.is_file():
        if root.suffix != ".parquet":
            raise ValueError(
                f"data.root: {root} is neither a folder nor a .parquet file"
            )
        return Files([root], [])
    by_split = _by_split(root)
    if not by_split:
        raise ValueError(f"data.root: {root} holds {looked_for} *.parquet")
    whole = {
        split: [root / path for path in paths] for split, paths in by_split.items()
    }
    if None in whole:
        return Files(whole[None], [])
    # published sets often keep their test labels back, and call validation what one tests with
    test = whole.get("test") or whole.get("validation") or []
    if "train" not in whole:
        raise ValueError(
            f"data.root: {root} holds {test[0].relative_to(root)} and no train*.parquet"
        )
    return Files(whole["train"], test)


def _by_split(root: Path) -> dict[str | None, list[Path]]:
    """The files below ``root`` that are not hidden, by what they say of themselves."""
    by_split: dict[str | None, list[Path]] = {}
    for path in sorted(root.glob("**/*.parquet")):
        inside = path.relative_to(root)
        if not any(part.startswith((".", "__")) for part in inside.parts):
            by_split.setdefault(_split_of(inside), []).append(inside)
    if len(by_split) > 1 and None in by_split:
        raise ValueError(
            f"data.root: {root} holds {by_split[None][0]}, which says no split, and other files that do; "
            "name it train, validation or test, or move it away"
        )
    for split, paths in by_split.items():
        _check_place(root, split or "train", paths)
    return by_split


def _split_of(path: Path) -> str | None:
    """The file's own word counts first, then the nearest folder's."""
    folders = reversed(path.parts[:-1])
    said = (split_named(name) for name in (path.stem, *folders))
    return next((split for split in said if split), None)


def _check_place(root: Path, split: str, paths: list[Path]) -> None:
    places = {_data_set(path): path for path in paths}
    if len(places) > 1:
        first, second, *_ = places.values()
        raise ValueError(
            f"data.root: {root} holds several sets of {split} images, such as {first} and {second}; "
            "name the folder of one of them"
        )


def _data_set(path: Path) -> tuple[str, ...]:
    """The folders above the one that says the split."""
    parts = path.parts[:-1]
    said = [number for number, part in enumerate(parts) if split_named(part)]
    return parts[: said[0]] if said else parts


class _Shard(NamedTuple):
    """One file: its labels, the names that it gives them if it does, and the sizes of its row groups."""

    path: Path
    labels: Indices
    names: list[str] | None
    sizes: list[int]


def read_shards(name: str, files: Sequence[Path], classes: list[str] | None) -> Listing:
    """Labels by the names that each file gives its classes, where it does: files need not number them alike."""
    shards = [_read(path, name) for path in files]
    known = list(classes or _names(shards))
    if not known:
        highest = max(shard.labels.max(initial=-1) for shard in shards)
        known = [str(label) for label in range(highest + 1)]
    labels = np.concatenate([_renumbered(shard, known) for shard in shards])
    containers = [
        (shard.path, group) for shard in shards for group in range(len(shard.sizes))
    ]
    sizes = [size for shard in shards for size in shard.sizes]
    return listed("parquet", list(files), containers, sizes, labels, known)


def _names(shards: Sequence[_Shard]) -> list[str]:
    """In the order that the files have them in, whichever file comes first if that is by the alphabet."""
    each = [shard.names or [] for shard in shards]
    together = list(dict.fromkeys(name for names in each for name in names))
    by_alphabet = all(names == sorted(names) for names in each)
    return sorted(together) if by_alphabet else together


def _read(path: Path, name: str) -> _Shard:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            image_column(file.schema_arrow)
            column, names = _label_column(file.schema_arrow, name)
            # the labels' column only: images stay where they are until they are decoded
            values = file.read([column], use_threads=False).column(0).to_pylist()
            groups = range(file.num_row_groups)
            sizes = [file.metadata.row_group(group).num_rows for group in groups]
    except (pa.ArrowException, ValueError, KeyError, OSError) as error:
        # Arrow's for damage has no number
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(
            f"{path}: not a readable parquet file of images ({error})"
        ) from error
    if any(isinstance(value, str) for value in values):
        values, names = _numbered(values, path)
    labels = checked_labels(values, path, len(names) if names else None)
    return _Shard(path, labels, names, sizes)


def _numbered(values: list[Any], path: Path) -> tuple[list[int], list[str]]:
    """Labels that are texts as numbers, by the alphabet."""
    for row, value in enumerate(values):
        if not isinstance(value, str):
            raise ValueError(f"{path}: label {value!r} in row {row}; others are texts")
    names = sorted(set(values))
    places = {name: number for number, name in enumerate(names)}
    return [places[value] for value in values], names


def _renumbered(shard: _Shard, known: list[str]) -> Indices:
    """From a file's own numbers of classes to everyone's."""
    own = shard.names
    numbers = [str(number) for number in range(len(known))]
    if own is None or (known == numbers and not set(own) & set(known)):
        # the file, or all others, have no names
        return checked_labels(shard.labels.tolist(), shard.path, len(known))
    used = np.unique(shard.labels)
    if unknown := [own[label] for label in used if own[label] not in known]:
        raise ValueError(
            f"{shard.path}: class {unknown[0]!r} is not among those to train with, {', '.join(known):.200}"
        )
    places = {each: number for number, each in enumerate(known)}
    numbers_of_known = [places.get(each, -1) for each in own]
    table = np.asarray(numbers_of_known, np.int64)
    return table[shard.labels]


def _label_column(schema: Any, name: str) -> tuple[str, list[str] | None]:
    """The column of labels and, where Hugging Face's metadata tell them, the names of its classes."""
    import json

    candidates = (
        ("fine_label", "label", "labels")
        if name == "cifar100"
        else ("label", "labels", "fine_label")
    )
    column = next(
        (candidate for candidate in candidates if candidate in schema.names), None
    )
    if column is None:
        raise ValueError(f"no column label, only {', '.join(schema.names)}")
    described = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    feature = described.get("info", {}).get("features", {}).get(column, {})
    return column, feature.get("names")
