"""How often a network is right on images, and how far off its probabilities are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evaluators.training.recipe import Recipe
from evaluators.training.train_step import autocast

EVALUATION_BATCH = 256
NO_LABEL = -100
"""What ``F.cross_entropy`` leaves out: the label of images that only fill a batch up."""


class Evaluation(NamedTuple):
    """``accuracy`` from 0 to 1 and the mean cross entropy ``loss``."""

    accuracy: float
    loss: float


class EvaluationStep:
    """Call it with normalised images and labels: how many are right, and the sum of their losses, (2,) float64."""

    def __init__(
        self, network: nn.Module, recipe: Recipe, device: torch.device
    ) -> None:
        self._network, self._recipe, self._device = network, recipe, device

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        with autocast(self._recipe, self._device):
            logits = self._network(images).float()
        loss = F.cross_entropy(logits, labels, reduction="sum", ignore_index=NO_LABEL)
        right = (logits.argmax(1) == labels).sum()
        return torch.stack([right.double(), loss.double()])


def equal_parts(indices: Tensor) -> tuple[Tensor, ...]:
    """Parts of at most ``EVALUATION_BATCH``, whose lengths differ by one at most: none is a rest of few."""
    return indices.tensor_split(max(1, math.ceil(len(indices) / EVALUATION_BATCH)))


def filled_up(parts: tuple[Tensor, ...]) -> Iterator[Tensor]:
    """The same parts, all as long as the first, so that one recording serves them; image 0 fills them up."""
    size = len(parts[0])
    return (F.pad(part, (0, size - len(part))) for part in parts)
