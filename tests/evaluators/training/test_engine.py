"""The engine: what it learns, resumes, averages and measures."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from evaluators import Augmentation, Dataset, Recipe
from evaluators.training.layers.batch_norm import recalibrate
from evaluators.training.shard import Shard
from tests.evaluators.training.tiny_training import (
    QUICK,
    Tiny,
    learnt,
    run,
    same,
    training,
    two_shades,
    weights,
)


def test_learns_what_can_be_learnt(dataset: Dataset) -> None:
    last = run(training(dataset)).history[-1]
    assert last["accuracy"] == 1
    assert last["batch_splits"] == 1
    assert "train_memory_mb" not in last


def test_evaluates_any_split(dataset: Dataset) -> None:
    trained = run(training(dataset))
    again = trained.evaluate(dataset.validation)
    assert (again.accuracy, again.loss) == (
        trained.history[-1]["accuracy"],
        trained.history[-1]["validation_loss"],
    )
    with torch.inference_mode():
        logits = trained.evaluated.eval()(dataset.normalise(dataset.train.images))
    told = trained.evaluate(dataset.train)
    assert told.accuracy == pytest.approx(
        (logits.argmax(1) == dataset.train.labels).float().mean().item()
    )
    assert told.loss == pytest.approx(
        F.cross_entropy(logits, dataset.train.labels).item(), abs=1e-5
    )


EVERYTHING = replace(
    QUICK,
    images_per_epoch=70,
    rung_images=40,
    mirrored=True,
    optimizer="muon",
    schedule="one_cycle",
    clip_norm=1.0,
    ema=0.8,
    accumulate=2,
    precision="bfloat16",
    augment=Augmentation(shift=1, flip=True),
)


@pytest.mark.parametrize("recipe", [QUICK, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("finished", [0, 1, 2])
def test_resumes_to_the_bit(dataset: Dataset, recipe: Recipe, finished: int) -> None:
    whole = run(training(dataset, recipe, seed=3))
    first = training(dataset, recipe, seed=3)
    for _ in range(finished):
        first.next_epoch()
    second = training(dataset, recipe, seed=3)
    second.load_state_dict(first.state_dict())
    run(second)
    assert learnt(second) == learnt(whole)
    assert same(weights(second.model), weights(whole.model))
    assert same(weights(second.evaluated), weights(whole.evaluated))


@pytest.mark.parametrize(
    "change",
    [
        {"clip_norm": 1e-3},
        {"ema": 0.9},
        {"precision": "bfloat16"},
        {"schedule": "one_cycle"},
        {"augment": Augmentation(flip=True)},
        {"label_smoothing": 0.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_choice_changes_the_numbers(
    dataset: Dataset, change: dict[str, Any]
) -> None:
    plain, other = (
        training(dataset, recipe) for recipe in (QUICK, replace(QUICK, **change))
    )
    plain.next_epoch()
    other.next_epoch()
    assert learnt(plain) != learnt(other)


def test_clipping_bounds_the_step(dataset: Dataset) -> None:
    recipe = replace(
        QUICK, clip_norm=1e-4, weight_decay=0.0, batch_size=100, momentum=0.01
    )
    model = Tiny()
    before = [p.detach().clone() for p in model.parameters()]
    trained = training(dataset, recipe, model)
    trained.next_epoch()
    moved = sum(
        (p - q).square().sum() for p, q in zip(model.parameters(), before, strict=True)
    )
    step = moved.sqrt().item() / trained.history[0]["learning_rate"]
    # Nesterov: gradient + momentum * gradient
    assert step == pytest.approx(1e-4 * 1.01, rel=1e-3)


def test_accumulation_trains_as_the_whole_batch_does(dataset: Dataset) -> None:
    """Without norms and dropout, up to rounding; 100 images leave a last batch of 4."""
    results = []
    for accumulate in (1, 2, 3):
        model = Tiny(norm=False)
        model[4] = nn.Identity()
        results.append(
            run(training(dataset, replace(QUICK, accumulate=accumulate), model))
        )
    for other in results[1:]:
        assert all(map(torch.allclose, weights(other.model), weights(results[0].model)))
        assert other.history[-1]["train_loss"] == pytest.approx(
            results[0].history[-1]["train_loss"], rel=1e-4
        )


def test_ema_is_the_average_of_the_steps(dataset: Dataset) -> None:
    recipe = replace(QUICK, ema=0.75, batch_size=100, epochs=2)  # a step an epoch
    model = Tiny()
    expected = [p.detach().clone() for p in model.parameters()]
    trained = training(dataset, recipe, model)
    for update in range(2):
        trained.next_epoch()
        decay = min(0.75, (1 + update) / (10 + update))
        pairs = zip(expected, model.parameters(), strict=True)
        expected = [
            decay * average + (1 - decay) * now.detach() for average, now in pairs
        ]
    assert all(map(torch.allclose, trained.evaluated.parameters(), expected))
    assert trained.evaluated is not trained.model


def test_states_share_nothing(dataset: Dataset) -> None:
    first, second = training(dataset), training(dataset)
    first.next_epoch()
    second.load_state_dict(first.state_dict())
    first.next_epoch()
    second.next_epoch()
    assert learnt(second) == learnt(first)


def test_an_average_longer_than_the_training_is_no_average_of_its_start(
    dataset: Dataset,
) -> None:
    trained = run(training(dataset, replace(QUICK, ema=0.9999)))
    assert trained.history[-1]["accuracy"] == 1


@pytest.mark.parametrize("images", [258, 400, 511])
def test_norms_are_measured_with_every_image_the_same(
    dataset: Dataset, images: int
) -> None:
    """Plain torch: the variances of the whole, which a rest of 2 images must not move."""
    more = replace(dataset, train=two_shades(images, 0))
    model = Tiny()
    training(more, model=model).next_epoch()
    with torch.no_grad():
        convolved = model[0](more.normalise(more.train.images))
    assert torch.allclose(model[1].running_mean, convolved.mean((0, 2, 3)), atol=1e-4)
    assert torch.allclose(model[1].running_var, convolved.var((0, 2, 3)), rtol=0.02)


def test_batches_of_any_size_weigh_by_their_images() -> None:
    """Plain torch: each batch's variance, weighed."""
    norm, images = nn.BatchNorm1d(3), torch.randn(258, 3)
    parts = images.split(256)
    recalibrate(norm, parts)
    expected = sum(len(part) / 258 * part.var(0) for part in parts)
    assert torch.allclose(norm.running_mean, images.mean(0), atol=1e-6)
    assert torch.allclose(norm.running_var, expected, rtol=1e-5)
    assert norm.momentum == 0.1


def test_norms_are_measured_with_the_weights_as_they_are(dataset: Dataset) -> None:
    model = Tiny()
    trained = training(dataset, model=model)
    trained.next_epoch()
    convolved = model[0](dataset.normalise(dataset.train.images))
    assert torch.allclose(model[1].running_mean, convolved.mean((0, 2, 3)), atol=1e-5)
    assert model[1].momentum == 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"recipe": replace(QUICK, precision="float16")},
            "precision float16 needs a GPU",
        ),
        (
            {"memory_fraction": 0.0},
            "memory_fraction must lie above 0 and be at most 1; got 0.0",
        ),
        ({"memory_fraction": 1.5}, "got 1.5"),
        ({"shard": Shard(0, 3)}, "batch_size 32 does not give 3 processes equal parts"),
        (
            {"shard": Shard(0, 32)},
            "batch_size 32 does not give 32 processes equal parts of 2",
        ),
    ],
)
def test_what_cannot_work_is_refused(
    dataset: Dataset, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        training(dataset, **options)
