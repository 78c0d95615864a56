"""How often a network is right on images, and how far off its probabilities are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evaluators.evaluator import Metrics
from evaluators.training.recipe import Recipe
from evaluators.training.train_step import autocast

EVALUATION_BATCH = 256
NO_LABEL = -100
"""What ``F.cross_entropy`` leaves out: the label of images that only fill a batch up."""


SUMS = 4
"""What a step of the evaluation sums up."""


class Evaluation(NamedTuple):
    """``accuracy`` from 0 to 1, the mean cross entropy ``loss``, and the standard errors of both.

    ``accuracy_mirrored`` is that of the mean logits of an image and its mirror image, where they were asked for.
    """

    accuracy: float
    accuracy_se: float
    loss: float
    loss_se: float
    accuracy_mirrored: float | None = None

    @classmethod
    def of(cls, sums: Sequence[float], count: int, *, mirrored: bool) -> Evaluation:
        """From the sums of ``EvaluationStep`` over ``count`` images."""
        right, loss, squares, right_mirrored = sums
        # two more images right and two wrong (Agresti and Coull 1998), so that all right is no certainty
        share = (right + 2) / (count + 4)
        # E[x^2] - E[x]^2, which rounding may push below zero
        variance = max(0.0, squares / count - (loss / count) ** 2)
        return cls(
            right / count,
            math.sqrt(share * (1 - share) / (count + 4)),
            loss / count,
            math.sqrt(variance / count),
            right_mirrored / count if mirrored else None,
        )

    def metrics(self) -> Metrics:
        """As an evaluator tells them."""
        told: Metrics = {
            "accuracy": self.accuracy,
            "accuracy_se": self.accuracy_se,
            "validation_loss": self.loss,
            "validation_loss_se": self.loss_se,
        }
        if self.accuracy_mirrored is not None:
            told["accuracy_mirrored"] = self.accuracy_mirrored
        return told


class EvaluationStep:
    """Call it with normalised images and labels to get ``SUMS`` sums over them, float64.

    How many are right, the losses, their squares, and how many are right with their mirror image's help; where the
    recipe does not ask for that, the first once more.
    """

    def __init__(
        self, network: nn.Module, recipe: Recipe, device: torch.device
    ) -> None:
        self._network = network
        self._recipe = recipe
        self._device = device

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        logits = self._logits(images)
        # per image: the squares give the standard error; float64, since thousands are summed
        losses = F.cross_entropy(
            logits, labels, reduction="none", ignore_index=NO_LABEL
        ).double()
        right = mirrored = (logits.argmax(1) == labels).sum()
        if self._recipe.mirrored:
            # the sum has the same order as the mean
            both = logits + self._logits(images.flip(3))
            mirrored = (both.argmax(1) == labels).sum()
        sums = right.double(), losses.sum(), losses.square().sum(), mirrored.double()
        return torch.stack(sums)

    def _logits(self, images: Tensor) -> Tensor:
        with autocast(self._recipe, self._device):
            logits: Tensor = self._network(images).float()
        return logits


def equal_parts(indices: Tensor) -> tuple[Tensor, ...]:
    """Parts of at most ``EVALUATION_BATCH``, whose lengths differ by one at most: none is a rest of few."""
    batches = math.ceil(len(indices) / EVALUATION_BATCH)
    return indices.tensor_split(max(1, batches))


def filled_up(parts: tuple[Tensor, ...]) -> Iterator[Tensor]:
    """The same parts, all as long as the first, so that one recording serves them; image 0 fills them up."""
    size = len(parts[0])
    return (F.pad(part, (0, size - len(part))) for part in parts)
