"""A network and images small enough to train in a test."""

from typing import Any

import torch
from torch import Tensor, nn

from evaluators import Dataset, Recipe, Split
from evaluators.training.engine import Training
from results.metrics import CLOCKS

CPU = torch.device("cpu")


QUICK = Recipe(epochs=3, batch_size=32, warmup_epochs=0, lr=0.1)


def two_shades(count: int, seed: int) -> Split:
    """Noise around a dark or a light grey."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (count,), generator=generator)
    noise = torch.randint(80, (count, 3, 8, 8), generator=generator)
    return Split((noise + 90 * labels[:, None, None, None]).to(torch.uint8), labels)


class Tiny(nn.Sequential):
    """A convolution, a norm and dropout; with ``largest`` it has no memory for larger batches in training."""

    def __init__(self, largest: int = 10**6, norm: bool = True) -> None:
        torch.manual_seed(0)
        middle = nn.BatchNorm2d(6) if norm else nn.Identity()
        super().__init__(
            nn.Conv2d(3, 6, 3),
            middle,
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.1),
            nn.Linear(216, 2),
        )
        self.largest = largest
        self.refused = 0

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and len(x) > self.largest:
            self.refused += 1
            # torch's own words for want of memory
            torch.empty(2**62, dtype=torch.uint8)
        out: Tensor = super().forward(x)
        return out


class Sizes(Tiny):
    """Writes down how many images it is trained on at once."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            self.seen.append(len(x))
        return super().forward(x)


def training(
    dataset: Dataset,
    recipe: Recipe = QUICK,
    model: nn.Module | None = None,
    **more: Any,
) -> Training:
    return Training(model or Tiny(), dataset, recipe, CPU, **more)


def learnt(trained: Training) -> list[dict[str, Any]]:
    return [
        {k: v for k, v in row.items() if k not in CLOCKS} for row in trained.history
    ]


def run(trained: Training) -> Training:
    while len(trained.history) < trained.recipe.epochs:
        trained.next_epoch()
    return trained


def weights(model: nn.Module) -> list[Tensor]:
    return [value.clone() for value in model.state_dict().values()]


def same(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return all(map(torch.equal, ours, theirs))
