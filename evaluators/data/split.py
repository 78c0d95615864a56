"""Labelled images as tensors, and how a part of them is drawn that has every class in proportion."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Split(NamedTuple):
    """``images`` (N, C, H, W), uint8 or float in units of their own, and ``labels`` (N,) int64.

    The images lie in the device's memory, or on the CPU in memory or in a file mapped into it, shared by all
    processes of the machine. Never write to them. Built-in sources keep channels last.
    """

    images: Tensor
    labels: Tensor

    def to(self, device: torch.device | str) -> Split:
        return Split(self.images.to(device), self.labels.to(device))

    def at(self, indices: NDArray[np.int64]) -> Split:
        """The images at these indices, where they are."""
        index = torch.from_numpy(indices)
        return Split(_rows(self.images, index), self.labels[index])

    def take(self, indices: Tensor, device: torch.device) -> Split:
        """The images at ``indices`` (int64, on the CPU) as a batch on the device.

        Where the images are on the CPU and the device is a GPU, they go through pinned memory, and the copy
        runs beside what the caller does next.
        """
        if self.images.device == device:
            indices = indices.to(device, non_blocking=True)
            return Split(_rows(self.images, indices), self.labels[indices])
        pinned = device.type == "cuda"
        images = _rows(self.images, indices, pinned)
        labels = self.labels[indices]
        labels = labels.pin_memory() if pinned else labels
        return Split(
            images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
        )


def _rows(images: Tensor, indices: Tensor, pinned: bool = False) -> Tensor:
    """``images[indices]``, image after image even where channels come last, and in the same layout."""
    last = images.permute(0, 2, 3, 1)
    if not last.is_contiguous():
        chosen = images[indices]
        return chosen.pin_memory() if pinned else chosen
    out = torch.empty(
        (len(indices), *last.shape[1:]),
        dtype=images.dtype,
        device=images.device,
        pin_memory=pinned,
    )
    return torch.index_select(last, 0, indices, out=out).permute(0, 3, 1, 2)


class Source(NamedTuple):
    """What a source of the user's own returns: the images a search may see, and those it may not.

    Labels count from 0. ``small_images`` keeps the networks' stems from downsampling. ``white`` is the value of
    white in images of floats, 1.0 say: without it nobody can preprocess a picture file for the network.
    """

    development: Split
    test: Split
    small_images: bool
    white: float | None = None


def content_of(splits: Mapping[str, Split], classes: Sequence[str]) -> dict[str, Any]:
    """What tells images from others, wherever they lie: ``digest`` of pixels and labels, ``images`` by class."""
    digest = hashlib.blake2b(digest_size=16)
    counts: Counter[str] = Counter(dict.fromkeys(classes, 0))
    for name, split in splits.items():
        digest.update(
            f"{name} {tuple(split.images.shape)} {split.images.dtype}".encode()
        )
        for some in split.images.permute(0, 2, 3, 1).split(1024):
            digest.update(some.contiguous().numpy().data)
        digest.update(split.labels.numpy().data)
        for label, count in enumerate(split.labels.bincount().tolist()):
            counts[classes[label]] += count
    return {"digest": digest.hexdigest(), "images": dict(counts)}


def changed_images(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """What has changed between two of ``content_of``; None if nothing has, or an earlier version wrote none."""
    if not before or before["digest"] == now["digest"]:
        return None
    old, new = before["images"], now["images"]
    if gone := [name for name in old if name not in new]:
        return f"class {gone[0]!r} is gone from the images"
    if added := [name for name in new if name not in old]:
        return f"class {added[0]!r} is new among the images"
    if differing := [name for name in new if old[name] != new[name]]:
        name = differing[0]
        return f"class {name!r} had {old[name]} images to train and validate with and has {new[name]}"
    return "the images are others than before, as many of each class"


def statistics(images: NDArray[Any]) -> tuple[list[float], list[float]]:
    """Mean and deviation of each channel of (N, H, W, C) images, in double precision, some at a time."""
    sums, squares = np.zeros(images.shape[-1]), np.zeros(images.shape[-1])
    for start in range(0, len(images), 256):
        some = (
            images[start : start + 256].reshape(-1, images.shape[-1]).astype(np.float64)
        )
        sums += some.sum(0)
        squares += np.einsum("nc,nc->c", some, some)
    count = images.size / images.shape[-1]
    mean = sums / count
    deviation = np.sqrt(np.clip(squares / count - mean**2, 1e-12, None))
    return mean.tolist(), deviation.tolist()


Parts = tuple[NDArray[np.int64], NDArray[np.int64]]


def stratified(
    labels: NDArray[np.int64],
    count: int,
    seed: int,
    *,
    at_least: int = 1,
    keep: int = 1,
) -> Parts:
    """Indices of ``count`` images, every class in proportion, and of the rest; both in random order.

    Each class keeps ``keep`` images and, of what it has beyond those, gives at least ``at_least``; ``count`` has
    to leave room for that.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    sizes = np.bincount(labels)
    size = np.repeat(
        sizes, sizes
    )  # of the class of each image, in the order of by_class
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    turn = (rank + random.random(len(labels))) / size
    turn[rank < at_least] = -1.0
    turn[rank >= size - keep] = 2.0
    chosen = np.zeros(len(labels), dtype=bool)
    chosen[by_class[np.argsort(turn, kind="stable")[:count]]] = True
    return order[chosen[order]], order[~chosen[order]]


def stratified_by_key(
    labels: NDArray[np.int64],
    keys: NDArray[np.uint64],
    count: int,
    seed: int,
    *,
    at_least: int = 1,
    keep: int = 1,
) -> Parts:
    """As ``stratified``, by what each image is called: one image more moves its own class's border by one.

    ``keys`` are the images'. The first of a class, in the order of their keys mixed with the seed, are chosen.
    """
    mixed = _mixed(keys, seed)
    order = np.argsort(mixed, kind="stable")
    by_class = order[np.argsort(labels[order], kind="stable")]
    sizes = np.bincount(labels)
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    share = np.repeat(_shares(sizes, count, at_least, keep), sizes)
    chosen = np.zeros(len(labels), dtype=bool)
    chosen[by_class[rank < share]] = True
    return order[chosen[order]], order[~chosen[order]]


def _shares(
    sizes: NDArray[np.int64], count: int, at_least: int, keep: int
) -> NDArray[np.int64]:
    """How many of each class, ``count`` together: in proportion, by the largest remainder (Hamilton)."""
    most = np.maximum(sizes - keep, 0)
    least = np.minimum(at_least, most)
    exact = count * sizes / sizes.sum()
    shares: NDArray[np.int64] = np.clip(np.floor(exact).astype(np.int64), least, most)
    while (missing := count - shares.sum()) != 0:
        step = 1 if missing > 0 else -1
        free = shares < most if missing > 0 else shares > least
        wanting = np.where(free, step * (exact - shares), -np.inf)
        shares[int(wanting.argmax())] += step
    return shares


def _mixed(keys: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Steele et al. 2014, "Fast Splittable Pseudorandom Number Generators": the finaliser of SplitMix64."""
    gamma = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        value = keys + gamma * np.uint64(seed % 2**64 + 1)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed: NDArray[np.uint64] = value ^ (value >> np.uint64(31))
    return mixed
