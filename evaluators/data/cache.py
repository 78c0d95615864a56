"""Decoded images in memory-mapped files, made once and shared by all processes of a machine."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from evaluators.data.decode import (
    ColourError,
    Entry,
    Failure,
    images,
    is_grey,
    opened,
    pixels,
)
from evaluators.data.decode_pool import decode_all
from evaluators.data.folders import class_files, class_folders, is_image
from evaluators.data.listing import Listing
from evaluators.data.split import Split, content_of, statistics

VERSION = 3
FILES_A_JOB, ROWS_A_JOB = 250, 2000
PROBED = 256
BLANK = 1e-3
"""Deviation, in grey values, of images that show nothing."""
FACTS = ("classes", "mean", "deviation", "corrupt", "content")
NAMED = 5
"""Images that cannot be read, named in the log; all are in ``Dataset.corrupt``."""

Progress = Callable[[str, int, int], None]
log = logging.getLogger("splitsearch.data")


def cache_key(paths: Iterable[Path], **settings: Any) -> str:
    """Changes with the settings and whenever an image in ``paths`` (files, or folders of folders) does.

    Sizes and times stand for the content: hashing it would cost as much as decoding small images. The time of
    change is among them, because a copy may bring along the time of modification of what it replaces.
    """
    digest = hashlib.sha256(json.dumps([VERSION, settings], sort_keys=True).encode())
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
    content: dict[str, Any]
    small_images: bool | None = None
    white: float | None = 255.0


Shape = tuple[
    int | None, int | None
]  # resolution and channels; None: as the images have them
Contents = tuple[Listing, dict[str, NDArray[np.int64]]]


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
        with _alone(folder.with_suffix(".lock"), progress):
            if not folder.exists():
                unfinished = folder.with_suffix(".unfinished")
                shutil.rmtree(
                    unfinished, ignore_errors=True
                )  # of a process that was killed
                unfinished.mkdir()
                try:
                    _build(unfinished, *contents(), shape, max_corrupt, progress)
                    unfinished.rename(folder)
                finally:
                    shutil.rmtree(unfinished, ignore_errors=True)
    return _open(folder, max_corrupt)


@contextmanager
def _alone(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another process to decode", 0, 0)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(
    folder: Path,
    listing: Listing,
    splits: dict[str, NDArray[np.int64]],
    shape: Shape,
    max_corrupt: float,
    progress: Progress,
) -> None:
    wanted = np.concatenate(list(splits.values()))
    resolution, channels = _probe(listing, wanted, shape)
    try:
        failures = _decode(folder, listing, wanted, resolution, channels, progress)
    except ColourError:
        if shape[1] == 1:
            raise
        failures = _decode(folder, listing, wanted, resolution, 3, progress)
    good = np.ones(len(wanted), dtype=bool)
    good[[failure.position for failure in failures]] = False
    parts = np.split(good, np.cumsum([len(part) for part in splits.values()])[:-1])
    corrupt = sorted(f"{failure.name}: {failure.reason}" for failure in failures)
    _check_corrupt(corrupt, len(wanted), max_corrupt)
    for named in corrupt[:NAMED]:
        log.warning("left out: %s", named)
    if len(corrupt) > NAMED:
        log.warning("left out: %d more that cannot be read", len(corrupt) - NAMED)
    if failures:
        for (name, indices), kept in zip(splits.items(), parts, strict=True):
            _check_classes(listing, name, indices[kept])
        _drop(folder / "images.npy", good)
    np.save(folder / "labels.npy", listing.labels[wanted[good]])
    sizes = [int(kept.sum()) for kept in parts]
    images = np.load(folder / "images.npy", mmap_mode="c")
    mean, deviation = statistics(images[: sizes[0]])
    _check_contrast(listing, deviation)
    facts = {
        "sizes": dict(zip(splits, sizes, strict=True)),
        "classes": listing.classes,
        "mean": mean,
        "deviation": deviation,
        "corrupt": corrupt,
    }
    labels, kept_images = (
        torch.from_numpy(listing.labels[wanted[good]]),
        torch.from_numpy(np.asarray(images)),
    )
    pieces = zip(
        splits,
        kept_images.permute(0, 3, 1, 2).split(sizes),
        labels.split(sizes),
        strict=True,
    )
    facts["content"] = content_of(
        {name: Split(*part) for name, *part in pieces}, listing.classes
    )
    (folder / "facts.json").write_text(json.dumps(facts))


def _probe(
    listing: Listing, wanted: NDArray[np.int64], shape: Shape
) -> tuple[int, int]:
    """Resolution and channels to decode at, where they are not given as some of the images have them."""
    resolution, channels = shape
    sizes, grey = set(), []
    chosen = wanted[
        np.linspace(0, len(wanted) - 1, min(PROBED, len(wanted)), dtype=np.int64)
    ]
    if (
        listing.kind != "file"
    ):  # rows of one container, for each that is opened costs reading it
        chosen = wanted[listing.container[wanted] == listing.container[wanted[0]]][
            :PROBED
        ]
    for job in _jobs(listing, chosen):
        for entry in job:
            for _, stored in images(entry):
                with suppress(Exception):  # decoding will say what is wrong with it
                    with warnings.catch_warnings(action="ignore"):
                        image = opened(stored)
                    sizes.add(image.size)
                    grey.append(is_grey(image))
    if resolution is None:
        if len(sizes) > 1 or any(width != height for width, height in sizes):
            examples = " and ".join(
                f"{width}x{height}" for width, height in sorted(sizes)[:2]
            )
            raise ValueError(
                f"data.resolution: is needed, because the images of {listing.files[0].parent} are {examples}"
            )
        resolution = next(iter(sizes), (1, 1))[
            0
        ]  # none could be read: decoding will name the first
    return resolution, channels or (1 if grey and all(grey) else 3)


def probe(listing: Listing, resolution: int, channels: int) -> None:
    """Read the first, a middle and the last image; ``ValueError`` if one has not the channels of the others.

    One that cannot be read may be left out when the time comes.
    """
    chosen = np.unique(np.linspace(0, len(listing.labels) - 1, 3, dtype=np.int64))
    for job in _jobs(listing, chosen):
        for entry in job:
            for name, stored in images(entry):
                try:
                    with warnings.catch_warnings(action="ignore"):
                        pixels(stored, resolution, channels)
                except ColourError as error:
                    raise ColourError(f"{name}: {error}") from None
                except Exception as error:  # decoders raise anything
                    log.warning(
                        "%s: a test image that cannot be read (%s)", name, error
                    )


def _decode(
    folder: Path,
    listing: Listing,
    wanted: NDArray[np.int64],
    resolution: int,
    channels: int,
    progress: Progress,
) -> list[Failure]:
    path = folder / "images.npy"
    _reserve(path, (len(wanted), resolution, resolution, channels))
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress("decoding images", done, len(wanted))

    return decode_all(_jobs(listing, wanted), path, advance)


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


def _jobs(listing: Listing, wanted: NDArray[np.int64]) -> list[list[Entry]]:
    """Images in the order they are stored in, each job a few hundred or some rows of one container."""
    size = FILES_A_JOB if listing.kind == "file" else ROWS_A_JOB
    container, row = listing.container[wanted], listing.row[wanted]
    order = np.lexsort((row, container))
    jobs: list[list[Entry]] = []
    if listing.kind == "file":
        for part in np.split(order, range(size, len(order), size)):
            paths = [str(listing.containers[index][0]) for index in container[part]]
            jobs.append(
                [
                    Entry("file", path, 0, [0], [int(at)])
                    for path, at in zip(paths, part, strict=True)
                ]
            )
        return jobs
    for same in np.split(order, np.flatnonzero(np.diff(container[order])) + 1):
        path, group = listing.containers[container[same[0]]]
        for part in np.split(same, range(size, len(same), size)):
            entry = Entry(
                listing.kind, str(path), group, row[part].tolist(), part.tolist()
            )
            jobs += [[entry]]
    return jobs


def _check_contrast(listing: Listing, deviation: list[float]) -> None:
    if max(deviation) < BLANK:
        log.warning(
            "%s: all images are of one colour, so there is nothing to learn. Transparency is laid on white, and "
            "16 bits are taken as 0 to 65535: values up to 255 become black",
            listing.files[0].parent,
        )


def _check_corrupt(corrupt: list[str], count: int, limit: float) -> None:
    if len(corrupt) > limit * count:
        raise ValueError(
            f"{len(corrupt)} of {count} images cannot be read, and data.max_corrupt={limit} allows "
            f"{int(limit * count)}; the first is {corrupt[0]}"
        )


def _check_classes(listing: Listing, split: str, kept: NDArray[np.int64]) -> None:
    """``ValueError`` if the corrupt images were all of a split, or all of a class to train with."""
    counts = np.bincount(listing.labels[kept], minlength=len(listing.classes))
    if not len(kept):
        raise ValueError(
            f"{listing.files[0]}: none of the images for {split} can be read"
        )
    if split == "train" and not counts.all():
        name = listing.classes[int(counts.argmin())]
        raise ValueError(
            f"{listing.files[0]}: no image of class {name!r} to train with can be read"
        )


def _drop(path: Path, good: NDArray[np.bool_]) -> None:
    """Keep the good rows of an array file alone."""
    kept, everything = np.flatnonzero(good), np.load(path, mmap_mode="r")
    shorter = path.with_name("shorter.npy")
    _reserve(shorter, (len(kept), *everything.shape[1:]))
    array = np.load(shorter, mmap_mode="r+")
    for part in np.split(np.arange(len(kept)), range(1024, len(kept), 1024)):
        array[part] = everything[kept[part]]
    array.flush()
    shorter.replace(path)


def _open(folder: Path, max_corrupt: float) -> Decoded:
    try:
        facts = json.loads((folder / "facts.json").read_text())
        # copy on write: torch wants to be able to write, and nobody does
        images = torch.from_numpy(
            np.load(folder / "images.npy", mmap_mode="c")
        ).permute(0, 3, 1, 2)
        labels = torch.from_numpy(np.load(folder / "labels.npy"))
        sizes = list(facts["sizes"].values())
        parts = zip(
            facts["sizes"], images.split(sizes), labels.split(sizes), strict=True
        )
        splits = {name: Split(*part) for name, *part in parts}
    except (OSError, ValueError, RuntimeError, LookupError) as error:
        raise ValueError(
            f"{folder}: decoded images are damaged ({error}); delete this folder"
        ) from error
    _check_corrupt(facts["corrupt"], sum(sizes) + len(facts["corrupt"]), max_corrupt)
    return Decoded(splits, **{name: facts[name] for name in FACTS})
