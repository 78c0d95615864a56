"""Batches of a split on a device, brought there while it works on the batch before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from evaluators.data.split import Split


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
    copying, computing = torch.cuda.Stream(device), torch.cuda.current_stream(device)
    for part in parts:
        with torch.cuda.stream(copying):
            batch = split.take(part, device)
        computing.wait_stream(copying)
        for tensor in batch:
            # or the next copy could be written over it before the device has read it
            tensor.record_stream(computing)
        yield batch
