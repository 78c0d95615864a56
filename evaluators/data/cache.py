"""Decoded images in memory-mapped files, made once and shared by all processes of a machine."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from evaluators.data.content import content_of
from evaluators.data.decode import ColourError, Failure
from evaluators.data.decode_pool import decode_all
from evaluators.data.files.folders import class_files, class_folders, is_image
from evaluators.data.files.listing import Listing
from evaluators.data.partition import Indices
from evaluators.data.probe import Shape, shape_of
from evaluators.data.progress import Progress
from evaluators.data.soundness import (
    check_classes,
    check_contrast,
    check_corrupt,
    tell_corrupt,
)
from evaluators.data.split import Split, statistics
from evaluators.durable import replace_durably
from evaluators.lease import alone

CACHE_VERSION = 4
FACTS = ("classes", "mean", "deviation", "corrupt", "content")


def cache_key(paths: Iterable[Path], **settings: object) -> str:
    """Changes with the settings and whenever an image in ``paths`` (files, or folders of folders) does.

    Sizes and times stand for the content: hashing it would cost as much as decoding small images. The time of
    change is among them, because a copy may bring along the time of modification of what it replaces.
    """
    digest = hashlib.sha256(
        json.dumps([CACHE_VERSION, settings], sort_keys=True).encode()
    )
    for path in paths:
        for name, facts in _stamped(path):
            stamp = (
                f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}"
                if facts
                else "folder"
            )
            digest.update(f"{name}\0{stamp}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:20]


def _stamped(path: Path) -> Iterator[tuple[str, os.stat_result | None]]:
    if not path.is_dir():
        yield str(path.absolute()), path.stat()
        return
    for name in class_folders(path):
        yield name, None
        for inside, entry in class_files(path / name):
            if not is_image(entry):
                continue
            try:
                yield f"{name}/{inside}", entry.stat()
            except FileNotFoundError:  # a link to nothing
                yield f"{name}/{inside}", entry.stat(follow_symlinks=False)


@dataclass(frozen=True)
class Decoded:
    """Splits by name, mapped from files, and what is known about them.

    ``mean`` and ``deviation`` are of each channel of the first split, ``corrupt`` names the images left out;
    ``small_images`` is None where their size decides.
    """

    splits: dict[str, Split]
    classes: list[str]
    mean: list[float]
    deviation: list[float]
    corrupt: list[str]
    content: dict[str, object]
    small_images: bool | None = None
    white: float | None = 255.0


Contents = tuple[Listing, dict[str, Indices]]


def decoded(
    folder: Path,
    contents: Callable[[], Contents],
    shape: Shape,
    max_corrupt: float,
    progress: Progress,
) -> Decoded:
    """The splits kept in ``folder``; if it is not there, ``contents`` (a listing, and indices into it) decoded.

    One process decodes, others that want the same wait for it. The folder appears when it is whole.

    Raises:
        ValueError: if more images than the share ``max_corrupt`` cannot be read, naming the first; if they are
            of different sizes and there is no ``resolution``; if the folder is damaged.
        OSError: if the disk is full.
    """
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with alone(
            folder.with_suffix(".lock"),
            lambda: progress("waiting for another process to decode", 0, 0),
        ):
            # another process may have made it while this one waited
            if not folder.exists():
                with _made_whole(folder) as unfinished:
                    _build(unfinished, *contents(), shape, max_corrupt, progress)
    return _open(folder, max_corrupt)


@contextmanager
def _made_whole(folder: Path) -> Iterator[Path]:
    """A folder to write to, which takes the name ``folder`` if the block ends well, and else is gone."""
    unfinished = folder.with_suffix(".unfinished")
    # of a process that was killed
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        yield unfinished
        replace_durably(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _build(
    folder: Path,
    listing: Listing,
    splits: dict[str, Indices],
    shape: Shape,
    max_corrupt: float,
    progress: Progress,
) -> None:
    wanted = np.concatenate(list(splits.values()))
    failures = _decode(folder, listing, wanted, shape, progress)
    # positions in the output, split after split
    good = np.ones(len(wanted), dtype=bool)
    good[[failure.position for failure in failures]] = False
    ends = np.cumsum([len(part) for part in splits.values()])
    parts = np.split(good, ends[:-1])
    corrupt = sorted(f"{failure.name}: {failure.reason}" for failure in failures)
    check_corrupt(corrupt, len(wanted), max_corrupt)
    tell_corrupt(corrupt)
    if failures:
        for (name, indices), kept in zip(splits.items(), parts, strict=True):
            check_classes(listing, name, indices[kept])
        _drop(folder / "images.npy", good)
    np.save(folder / "labels.npy", listing.labels[wanted[good]])
    sizes = {name: int(kept.sum()) for name, kept in zip(splits, parts, strict=True)}
    _write_facts(folder, listing, sizes, corrupt)


def _write_facts(
    folder: Path, listing: Listing, sizes: dict[str, int], corrupt: list[str]
) -> None:
    """What is known of the images, once their arrays are complete; ``_open`` needs this file last."""
    labels = np.load(folder / "labels.npy")
    images = np.load(folder / "images.npy", mmap_mode="c")
    # of the first split, which is the one to train with: validation must not tell of itself
    mean, deviation = statistics(images[: sizes[next(iter(sizes))]])
    check_contrast(listing, images, deviation)
    facts = {
        "sizes": sizes,
        "classes": listing.classes,
        "mean": mean,
        "deviation": deviation,
        "corrupt": corrupt,
        "content": content_of(_cut(images, labels, sizes), listing.classes),
    }
    (folder / "facts.json").write_text(json.dumps(facts))


def _cut(
    images: NDArray[np.uint8], labels: Indices, sizes: dict[str, int]
) -> dict[str, Split]:
    """The splits, by name, of arrays that hold one after the other."""
    # (N, H, W, C) on disk; a view as (N, C, H, W), channels last in memory
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    lengths = list(sizes.values())
    images_of = pixels.split(lengths)
    labels_of = torch.from_numpy(labels).split(lengths)
    splits = map(Split, images_of, labels_of)
    return dict(zip(sizes, splits, strict=True))


def _decode(
    folder: Path,
    listing: Listing,
    wanted: Indices,
    shape: Shape,
    progress: Progress,
) -> list[Failure]:
    resolution, channels = shape_of(listing, wanted, shape)

    def decode(channels: int) -> list[Failure]:
        path = folder / "images.npy"
        _reserve(path, (len(wanted), resolution, resolution, channels))
        return decode_all(
            list(listing.jobs(wanted)), path, _adding(len(wanted), progress)
        )

    try:
        return decode(channels)
    except ColourError:
        if shape[1] == 1:
            raise
        return decode(3)  # the first images were grey, but not all


def _adding(total: int, progress: Progress) -> Callable[[int], None]:
    """A function to be told of every so many images done."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress("decoding images", done, total)

    return advance


def _reserve(path: Path, shape: tuple[int, ...]) -> None:
    """An array file with its space on the disk: a write to a map has no other way to fail than a signal."""
    open_memmap(path, "w+", np.uint8, shape).flush()
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror}, for {path.stat().st_size >> 20} MiB",
                str(path),
            ) from error


def _drop(path: Path, good: NDArray[np.bool_]) -> None:
    """Keep only the good rows of an array file."""
    kept = np.flatnonzero(good)
    everything = np.load(path, mmap_mode="r")
    shorter = path.with_name("shorter.npy")
    _reserve(shorter, (len(kept), *everything.shape[1:]))
    array = np.load(shorter, mmap_mode="r+")
    # some at a time: all at once would be a copy in memory
    parts = np.split(np.arange(len(kept)), range(1024, len(kept), 1024))
    for part in parts:
        array[part] = everything[kept[part]]
    array.flush()
    shorter.replace(path)


def _open(folder: Path, max_corrupt: float) -> Decoded:
    try:
        facts = json.loads((folder / "facts.json").read_text())
        # copy on write: torch wants to be able to write, and nobody does
        images = np.load(folder / "images.npy", mmap_mode="c")
        splits = _cut(images, np.load(folder / "labels.npy"), facts["sizes"])
    except (OSError, ValueError, RuntimeError, LookupError) as error:
        raise ValueError(
            f"{folder}: decoded images are damaged ({error}); delete this folder"
        ) from error
    corrupt = facts["corrupt"]
    count = sum(facts["sizes"].values()) + len(corrupt)
    check_corrupt(corrupt, count, max_corrupt)
    return Decoded(splits, **{name: facts[name] for name in FACTS})
