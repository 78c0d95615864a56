"""What a training sees: how many images, which, and on how many it is judged."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evaluators import Augmentation, Dataset, ProxyTraining, Recipe, Split
from evaluators.training.engine import Training
from evaluators.training.fidelity import Fidelity
from search_spaces import Task

CPU = torch.device("cpu")
RECIPE = Recipe(epochs=5, batch_size=20, warmup_epochs=0, lr=0.1, images_per_epoch=60)


def numbered(count: int) -> Split:
    """Images that say their number in grey."""
    grey = torch.arange(count, dtype=torch.uint8)[:, None, None, None]
    noise = torch.arange(16, dtype=torch.uint8).view(4, 4).expand(count, 3, 4, 4) * 0
    return Split(noise + grey, torch.arange(count) % 2)


class Watching(nn.Module):
    """Writes down the images that it is trained and validated on."""

    def __init__(self) -> None:
        super().__init__()
        self.trained: list[int] = []
        self.judged: list[int] = []
        self.linear = nn.Linear(48, 2)

    def forward(self, images: Tensor) -> Tensor:
        numbers = images[:, 0, 0, 0].round().int().tolist()
        (self.trained if torch.is_grad_enabled() else self.judged).extend(numbers)
        logits: Tensor = self.linear(images.flatten(1) / 255)
        return logits


@pytest.fixture
def dataset() -> Dataset:
    one = torch.ones(3)
    return Dataset(numbered(100), numbered(50), Task(2, 4, 3, True), 0 * one, one)


def watched(
    dataset: Dataset, recipe: Recipe, seed: int = 0
) -> tuple[Watching, Training]:
    model = Watching()
    training = Training(model, dataset, recipe, CPU, seed)
    while len(training.history) < recipe.epochs:
        training.next_epoch()
    return model, training


def test_no_image_comes_again_before_all_have_come(dataset: Dataset) -> None:
    model, _ = watched(dataset, RECIPE)
    assert len(model.trained) == 5 * 60
    passes = [model.trained[start : start + 100] for start in (0, 100, 200)]
    assert all(sorted(each) == list(range(100)) for each in passes)
    assert len({tuple(each) for each in passes}) == 3


def test_whole_passes_are_as_without(dataset: Dataset) -> None:
    all_of_them = watched(dataset, replace(RECIPE, images_per_epoch=100))[0].trained
    assert (
        all_of_them
        == watched(dataset, replace(RECIPE, images_per_epoch=None))[0].trained
    )


def test_seeds_see_other_images(dataset: Dataset) -> None:
    first, second = (watched(dataset, RECIPE, seed)[0].trained[:60] for seed in (0, 1))
    assert sorted(first) != sorted(second)


def test_rungs_are_judged_on_fewer_images_than_the_end(dataset: Dataset) -> None:
    model, training = watched(dataset, replace(RECIPE, rung_images=10))
    assert Counter(model.judged) == Counter([*list(range(10)) * 4, *range(50)])
    errors = [float(row["accuracy_se"]) for row in training.history]
    assert errors[0] > 1.5 * errors[-1]


def test_tells_standard_errors(dataset: Dataset) -> None:
    model, training = watched(dataset, RECIPE)
    with torch.inference_mode():
        logits = model(dataset.validation.images.float())
    losses = F.cross_entropy(logits, dataset.validation.labels, reduction="none")
    last = training.history[-1]
    assert last["validation_loss_se"] == pytest.approx(
        float(losses.std(correction=0)) / math.sqrt(50), rel=1e-4
    )
    rng = np.random.default_rng(0)
    drawn = rng.binomial(50, float(last["accuracy"]), 20_000) / 50
    assert last["accuracy_se"] == pytest.approx(drawn.std(), rel=0.1)


class Sided(nn.Module):
    """Says where it is brighter: left or right."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        left = images[:, 0, 0, 0] - images[:, 0, 0, -1]
        return torch.stack([left, 0.5 * left.square()], 1) + 0 * self.unused


def test_mirrored_views_are_averaged(dataset: Dataset) -> None:
    images = torch.zeros(4, 3, 2, 2, dtype=torch.uint8)
    images[:2, :, :, 0] = 1
    split = Split(images, torch.tensor([0, 0, 1, 1]))
    recipe = replace(RECIPE, mirrored=True, augment=Augmentation(flip=True), epochs=1)
    training = Training(Sided(), dataset, recipe, CPU)
    told = training.evaluate(split)
    # the sides cancel out in the mean, the square stays
    assert (told.accuracy, told.accuracy_mirrored) == (0.5, 0.0)


def test_is_a_value_that_tells_itself(dataset: Dataset) -> None:
    fidelity = Fidelity.of(dataset, replace(RECIPE, rung_images=10))
    assert fidelity == Fidelity(5, 60, 100, 4, 50, 10)
    assert str(fidelity) == (
        "5 x 60 visits of 100 images of 4 pixels, validated on 50 (10 at rungs)"
    )
    assert "rungs" not in str(Fidelity.of(dataset, RECIPE))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"images_per_epoch": 101},
            "images_per_epoch: must be at most 100, .* train .*101",
        ),
        ({"rung_images": 51}, "rung_images: must be at most 50, .* validate .*got 51"),
    ],
)
def test_more_images_than_there_are(
    dataset: Dataset, asked: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Training(Watching(), dataset, replace(RECIPE, **asked), CPU)


def test_mirrored_needs_images_that_may_be_mirrored() -> None:
    with pytest.raises(ValueError, match=r"Recipe\.mirrored: must be false unless"):
        Recipe(mirrored=True)
    flipping = Recipe(mirrored=True, augment=Augmentation(flip=True))
    assert "accuracy_mirrored" in ProxyTraining(recipe=flipping).metrics
    assert "accuracy_mirrored" not in ProxyTraining().metrics
