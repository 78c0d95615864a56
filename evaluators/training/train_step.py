"""One step of training: forward, backward, update."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from evaluators.training.recipe import SMALLEST_PART, Recipe


class TrainStep:
    """Call it with (B, C, H, W) images and labels, or targets (B, classes), to get the mean loss, detached.

    The batch goes through in ``splits`` parts whose gradients add up to the whole batch's; only the norms
    tell the difference.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        recipe: Recipe,
        device: torch.device,
        splits: int,
    ) -> None:
        self.scaler = torch.amp.GradScaler(
            device.type, enabled=recipe.dtype(device) == torch.float16
        )
        self._model = model
        self._optimizer = optimizer
        self._recipe = recipe
        self._device = device
        self._splits = splits

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        # None: the first backward writes gradients, no zeros are read and added to
        self._optimizer.zero_grad(set_to_none=True)
        # a short last batch is cut into fewer parts
        splits = min(self._splits, max(1, len(images) // SMALLEST_PART))
        parts = list(
            zip(images.tensor_split(splits), targets.tensor_split(splits), strict=True)
        )
        losses = [
            self._backward(*part, len(part[0]) / len(images), last=number == splits)
            for number, part in enumerate(parts, start=1)
        ]
        if self._recipe.clip_norm is not None:
            # clipping must see gradients as they are, not times the loss's scale
            self.scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self._model.parameters(), self._recipe.clip_norm)
        self.scaler.step(self._optimizer)
        self.scaler.update()
        return torch.stack(losses).sum()

    def _backward(
        self, images: Tensor, targets: Tensor, share: float, *, last: bool
    ) -> Tensor:
        with self._without_reduction(last):
            with autocast(self._recipe, self._device):
                logits = self._model(images)
            loss = F.cross_entropy(
                # in float32: a softmax over classes loses too much in 16 bits
                logits.float(),
                targets,
                label_smoothing=self._recipe.label_smoothing,
            )
            # parts may differ by one image; weighted, their gradients add up to the batch's mean
            loss = loss * share
            self.scaler.scale(loss).backward()
        return loss.detach()

    def _without_reduction(self, last: bool) -> AbstractContextManager[None]:
        """The processes exchange gradients once a step, with its last part."""
        if isinstance(self._model, DistributedDataParallel) and not last:
            return self._model.no_sync()
        return nullcontext()


def autocast(recipe: Recipe, device: torch.device) -> torch.autocast:
    """Convolutions and products in the recipe's precision, inside the block."""
    dtype = recipe.dtype(device)
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)
