"""What images are, whatever they are called and wherever they lie."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.data.decode import Entry, Stored, images
from evaluators.data.files.listing import Listing
from evaluators.data.progress import Progress
from evaluators.data.split import Split


def content_keys(listing: Listing, progress: Progress) -> NDArray[np.uint64]:
    """A hash of each image's bytes as they are stored; of its name, where it has none to be read.

    Raises:
        ValueError: naming a file of many images that cannot be read.
    """
    keys = np.zeros(len(listing.labels), np.uint64)
    jobs = listing.jobs(np.arange(len(keys)))
    done = 0
    # hashing and reading leave the interpreter to other threads
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        for positions, found in threads.map(_hashed_job, jobs):
            keys[positions] = found
            done += len(positions)
            progress("comparing images", done, len(keys))
    return keys


def _hashed_job(job: list[Entry]) -> tuple[list[int], list[int]]:
    positions = [position for entry in job for position in entry.positions]
    hashes = [_hashed(*image) for entry in job for image in images(entry)]
    return positions, hashes


def _hashed(name: str, stored: Stored) -> int:
    if isinstance(stored, Path):
        try:
            stored = stored.read_bytes()
        except OSError as error:  # decoding will leave it out
            stored = str(error)
    if isinstance(stored, str):
        stored = name.encode(errors="surrogateescape")
    content = stored if isinstance(stored, bytes) else stored.tobytes()
    # 64 bits: among a million images two share a hash by chance once in 37 million such data sets
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())


def content_of(splits: Mapping[str, Split], classes: Sequence[str]) -> dict[str, Any]:
    """What tells images from others, wherever they lie: ``digest`` of pixels and labels, ``images`` by class."""
    digest = hashlib.blake2b(digest_size=16)
    counts: Counter[str] = Counter(dict.fromkeys(classes, 0))
    for name, split in splits.items():
        digest.update(
            f"{name} {tuple(split.images.shape)} {split.images.dtype}".encode()
        )
        # images mapped from a file are read a part at a time
        pixels_last = split.images.permute(0, 2, 3, 1)
        for some in pixels_last.split(1024):
            digest.update(some.contiguous().numpy().data)
        digest.update(split.labels.numpy().data)
        for label, count in enumerate(split.labels.bincount().tolist()):
            counts[classes[label]] += count
    return {"digest": digest.hexdigest(), "images": dict(counts)}


def changed_images(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """What has changed between two of ``content_of``; None if nothing has, or an earlier version wrote none."""
    if not before or before["digest"] == now["digest"]:
        return None
    old = before["images"]
    new = now["images"]
    if gone := [name for name in old if name not in new]:
        return f"class {gone[0]!r} is gone from the images"
    if added := [name for name in new if name not in old]:
        return f"class {added[0]!r} is new among the images"
    if differing := [name for name in new if old[name] != new[name]]:
        name = differing[0]
        return f"class {name!r} had {old[name]} images to train and validate with and has {new[name]}"
    return "the images are others than before, as many of each class"
