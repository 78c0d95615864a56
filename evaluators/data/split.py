"""Labelled images as tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluators.data.partition import Indices
from evaluators.devices.device import sent


class Split(NamedTuple):
    """``images`` (N, C, H, W), uint8 or float in units of their own, and ``labels`` (N,) int64.

    The images lie in the device's memory, or on the CPU in memory or in a file mapped into it, shared by all
    processes of the machine. Never write to them. Built-in sources keep channels last.
    """

    images: Tensor
    labels: Tensor

    def to(self, device: torch.device | str) -> Split:
        images = self.images.to(device)
        return Split(images, self.labels.to(device))

    def at(self, indices: Indices) -> Split:
        """The images at these indices, where they are."""
        index = torch.from_numpy(indices)
        return Split(_rows(self.images, index), self.labels[index])

    def take(self, indices: Tensor, device: torch.device) -> Split:
        """The images at ``indices`` (int64, on the CPU) as a batch on the device.

        Where the images are on the CPU and the device is a GPU, they go through pinned memory, and the copy
        runs beside what the caller does next.
        """
        if self.images.device == device:
            indices = sent(indices, device)
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
    # an image is one run of memory in this order, so a gather copies runs
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
    chosen = torch.index_select(last, 0, indices, out=out)
    return chosen.permute(0, 3, 1, 2)


def batches(
    split: Split, parts: Iterable[Tensor], device: torch.device
) -> Iterator[Split]:
    """The images at each part's indices (int64, on the CPU), in turn.

    Images that are too many for a GPU's memory are gathered and copied to it on a stream of their own: the
    caller has given the device its work on one batch, and asks for the next while that is being done.
    """
    if device.type != "cuda" or split.images.device == device:
        for part in parts:
            yield split.take(part, device)
        return
    copying = torch.cuda.Stream(device)
    computing = torch.cuda.current_stream(device)
    for part in parts:
        with torch.cuda.stream(copying):
            batch = split.take(part, device)
        # not before the copy is done
        computing.wait_stream(copying)
        for tensor in batch:
            # or the next copy could be written over it before the device has read it
            tensor.record_stream(computing)
        yield batch


class Source(NamedTuple):
    """What a source of the user's own returns: the images a search may see, and those it may not.

    Labels count from 0. ``small_images`` keeps the networks' stems from downsampling. ``white`` is the value of
    white in images of floats, 1.0 say: without it nobody can preprocess a picture file for the network.
    """

    development: Split
    test: Split
    small_images: bool
    white: float | None = None


def statistics(images: NDArray[Any]) -> tuple[list[float], list[float]]:
    """Mean and deviation of each channel of (N, H, W, C) images, in double precision, some at a time."""
    channels = images.shape[-1]
    sums = np.zeros(channels)
    squares = np.zeros(channels)
    for start in range(0, len(images), 256):
        some = (
            images[start : start + 256].reshape(-1, images.shape[-1]).astype(np.float64)
        )
        sums += some.sum(0)
        squares += np.einsum("nc,nc->c", some, some)
    # pixels, of all images together
    count = images.size / images.shape[-1]
    mean = sums / count
    # never 0: an empty channel is divided by it too
    variance = squares / count - mean**2
    deviation = np.sqrt(np.clip(variance, 1e-12, None))
    return mean.tolist(), deviation.tolist()
