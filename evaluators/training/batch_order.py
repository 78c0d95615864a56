"""Which images make which batch of which epoch: only the seed decides, so any epoch can be trained anew."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from evaluators.devices.seeding import derive
from evaluators.training.fidelity import Fidelity
from evaluators.training.shard import Shard

SMALLEST_REST = 0.5
"""Share of a batch: a shorter last batch would train norms on a few images at the full learning rate."""


@dataclass(frozen=True)
class BatchOrder:
    """The batches of every epoch, as one process of ``shard`` trains on them.

    The images are gone through in passes, each in an order of its own. An epoch of fewer images than there are
    takes the next ones of the pass, so that all have their turn before any has its second.
    """

    fidelity: Fidelity
    batch_size: int
    seed: int
    shard: Shard

    def batches(self, epoch: int) -> list[Tensor]:
        """Indices of this process's part of every batch; epochs count from 0.

        A rest of up to half a batch is left out; it is another one in every epoch.
        """
        batches = self._visited(epoch).split(self.batch_size)
        rest = len(batches[-1])
        # norms need two images in every process
        too_few = (
            rest <= SMALLEST_REST * self.batch_size or rest < 2 * self.shard.world_size
        )
        if len(batches) > 1 and too_few:
            batches = batches[:-1]
        return [self.shard.of(batch) for batch in batches]

    @property
    def filled(self) -> float:
        """The share of a batch that there are images for; the learning rate follows it."""
        return min(1.0, self.fidelity.visits / self.batch_size)

    def _visited(self, epoch: int) -> Tensor:
        """Indices of the images of this epoch, in order."""
        images = self.fidelity.images
        visits = self.fidelity.visits
        # so many images lie before this epoch: whole passes, and a part of one
        first, offset = divmod(epoch * visits, images)
        count = math.ceil((offset + visits) / images)
        passes = range(first, first + count)
        orders = [self._shuffled(each) for each in passes]
        return torch.cat(orders)[offset : offset + visits]

    def _shuffled(self, number: int) -> Tensor:
        """The order of a whole pass; no process has to tell another of it."""
        generator = torch.Generator().manual_seed(derive(self.seed, number))
        return torch.randperm(self.fidelity.images, generator=generator)
