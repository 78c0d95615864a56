"""Which part of every batch a process trains on, and how the processes agree."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Shard:
    """This process is number ``rank`` of ``world_size``; more than one need torch's process group started.

    All draw the same order of images from the same seed and take every ``world_size``-th of a batch, so the
    same seed trains on the same batches whatever the number of processes.
    """

    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world_size:
            raise ValueError(
                f"Shard: rank must lie between 0 and {self.world_size - 1}; got {self.rank}"
            )

    def of(self, batch: Tensor) -> Tensor:
        """This process's part of a batch; all parts are equally long, so up to ``world_size - 1`` are left out."""
        # unequal parts would weigh images differently: gradients are averaged over processes
        length = len(batch) // self.world_size * self.world_size
        return batch[self.rank : length : self.world_size]

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The model as it is to be called in training: gradients are averaged over the processes."""
        if self.world_size == 1:
            return model
        return DistributedDataParallel(
            model, device_ids=[device] if device.type == "cuda" else None
        )

    def sum(self, values: Tensor) -> Tensor:
        """The sum of ``values`` over the processes."""
        if self.world_size > 1:
            torch.distributed.all_reduce(values)
        return values


ALONE = Shard()


def check_sizes(images: int, batch_size: int, processes: int) -> None:
    """``ValueError`` if so many processes have too few images, or a batch that does not divide among them."""
    if images < 2 * processes:
        raise ValueError(
            f"too few training images: {processes} process(es) need 2 each, there are {images} together"
        )
    if batch_size % processes or batch_size < 2 * processes:
        raise ValueError(
            f"Recipe: batch_size {batch_size} does not give {processes} processes equal parts of 2 images or more"
        )
