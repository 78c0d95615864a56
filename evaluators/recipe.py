"""How to train: a value that yields the optimiser and the learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Recipe:
    """SGD with Nesterov momentum, linear warm-up, cosine to zero and label smoothing.

    ``lr`` is the peak for batches of 256 images and scales with the batch size (Goyal et al. 2017, "Accurate,
    Large Minibatch SGD"). ``weight_decay`` is for the weights of convolutions and linear layers alone.
    ``shift`` moves images by up to so many pixels each way, ``flip`` mirrors half of them: leave digits and
    letters alone. The defaults suit a thousand small images.

    Raises:
        ValueError: naming the field that is wrong.
    """

    epochs: int = 9
    batch_size: int = 64
    lr: float = 0.4
    momentum: float = 0.9
    weight_decay: float = 1e-4
    label_smoothing: float = 0.1
    warmup_epochs: float = 1.0
    shift: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        wrong = {
            "epochs must be at least 1": self.epochs < 1,
            "batch_size must be at least 2, for batch norm": self.batch_size < 2,
            "lr must be positive and finite": not 0 < self.lr < math.inf,
            "momentum must lie between 0 and 1, both excluded": not 0 < self.momentum < 1,
            "weight_decay must be at least 0 and finite": not 0 <= self.weight_decay < math.inf,
            "label_smoothing must be at least 0 and below 1": not 0 <= self.label_smoothing < 1,
            "warmup_epochs must be at least 0 and at most epochs": not 0 <= self.warmup_epochs <= self.epochs,
            "shift must not be negative": self.shift < 0,
        }
        for rule, broken in wrong.items():
            if broken:
                name = rule.partition(" ")[0]
                raise ValueError(f"Recipe: {rule}; got {getattr(self, name)}")

    def lr_at(self, epoch: float) -> float:
        """The learning rate after so many epochs, which need not be whole."""
        peak = self.lr * self.batch_size / 256
        if epoch < self.warmup_epochs:
            return peak * epoch / self.warmup_epochs
        if epoch >= self.epochs:
            return 0.0
        progress = (epoch - self.warmup_epochs) / (self.epochs - self.warmup_epochs)
        return peak * (1 + math.cos(math.pi * progress)) / 2

    def optimizer(self, model: nn.Module) -> torch.optim.SGD:
        """SGD on parameters with and without weight decay; its learning rate is to be set every step."""
        decayed, rest = split_parameters(model)
        groups = [
            {"params": decayed, "weight_decay": self.weight_decay},
            {"params": rest, "weight_decay": 0.0},
        ]
        return torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=True, fused=True)


DEFAULT_RECIPE = Recipe()


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Weights of convolutions and linear layers, and the rest: every norm parameter and every bias."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    decayed = {id(module.weight) for module in model.modules() if isinstance(module, kinds)}
    parameters = list(model.parameters())
    return [p for p in parameters if id(p) in decayed], [p for p in parameters if id(p) not in decayed]
