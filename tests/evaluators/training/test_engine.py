from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evaluators import Augmentation, Dataset, Recipe, Split
from evaluators.training.batch_order import BatchOrder
from evaluators.training.engine import Training
from evaluators.training.fidelity import Fidelity
from evaluators.training.layers.batch_norm import recalibrate
from evaluators.training.shard import ALONE, Shard
from search_spaces import Task

CPU = torch.device("cpu")
QUICK = Recipe(epochs=3, batch_size=32, warmup_epochs=0, lr=0.1)


def two_shades(count: int, seed: int) -> Split:
    """Noise around a dark or a light grey."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (count,), generator=generator)
    noise = torch.randint(80, (count, 3, 8, 8), generator=generator)
    return Split((noise + 90 * labels[:, None, None, None]).to(torch.uint8), labels)


@pytest.fixture
def dataset() -> Dataset:
    mean, deviation = torch.full((3,), 80.0), torch.full((3,), 50.0)
    return Dataset(
        two_shades(100, 0), two_shades(60, 1), Task(2, 8, 3, True), mean, deviation
    )


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
    timed = ("seconds", "images_per_second")
    return [{k: v for k, v in row.items() if k not in timed} for row in trained.history]


def run(trained: Training) -> Training:
    while len(trained.history) < trained.recipe.epochs:
        trained.next_epoch()
    return trained


def weights(model: nn.Module) -> list[Tensor]:
    return [value.clone() for value in model.state_dict().values()]


def same(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return all(map(torch.equal, ours, theirs))


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


def test_out_of_memory_is_tried_again_in_parts(dataset: Dataset) -> None:
    model = Tiny(largest=16)
    trained = run(training(dataset, model=model))
    assert [row["batch_splits"] for row in trained.history] == [2, 2, 2]
    assert model.refused == 1
    # the epoch starts over from the same weights
    assert learnt(run(training(dataset, replace(QUICK, accumulate=2)))) == learnt(
        trained
    )


def test_out_of_memory_in_the_middle_repeats_the_epoch(dataset: Dataset) -> None:
    model = Tiny()
    trained = training(dataset, model=model)
    trained.next_epoch()
    state = trained.state_dict()
    expected = training(dataset)
    expected.load_state_dict(state | {"splits": 2})
    model.largest = 16
    assert trained.next_epoch()["batch_splits"] == 2
    expected.next_epoch()
    assert learnt(trained) == learnt(expected)


def test_states_share_nothing(dataset: Dataset) -> None:
    first, second = training(dataset), training(dataset)
    first.next_epoch()
    second.load_state_dict(first.state_dict())
    first.next_epoch()
    second.next_epoch()
    assert learnt(second) == learnt(first)


def test_parts_are_remembered(dataset: Dataset) -> None:
    first = training(dataset, model=Tiny(largest=16))
    first.next_epoch()
    model = Tiny(largest=16)
    second = training(dataset, model=model)
    second.load_state_dict(first.state_dict())
    assert second.next_epoch()["batch_splits"] == 2
    assert model.refused == 0


def test_out_of_memory_twice_is_the_end(dataset: Dataset) -> None:
    model = Tiny(largest=8)
    with pytest.raises(RuntimeError, match=r"memory"):
        training(dataset, model=model).next_epoch()
    assert model.refused == 2


def test_other_errors_are_not_tried_again(dataset: Dataset) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(7, 2))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        training(dataset, model=model).next_epoch()


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


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (96, [32] * 3),
        (98, [32] * 3),
        (112, [32] * 3),
        (113, [32, 32, 32, 17]),
        (20, [20]),
        (33, [32]),
    ],
)
def test_a_rest_of_a_few_images_is_left_out(
    dataset: Dataset, images: int, expected: list[int]
) -> None:
    sizes = Sizes()
    training(replace(dataset, train=two_shades(images, 0)), model=sizes).next_epoch()
    assert sizes.seen == expected


def test_what_is_left_out_is_another_rest_every_epoch(dataset: Dataset) -> None:
    few = replace(dataset, train=two_shades(40, 0))
    recipe = replace(QUICK, epochs=12)
    order = BatchOrder(Fidelity.of(few, recipe), recipe.batch_size, 0, ALONE)
    seen: set[int] = set()
    for epoch in range(12):
        (batch,) = order.batches(epoch)
        seen |= set(batch.tolist())
    assert seen == set(range(40))


def test_a_batch_larger_than_the_data_trains_at_the_rate_of_the_data(
    dataset: Dataset,
) -> None:
    large = training(dataset, replace(QUICK, batch_size=400))
    exact = training(dataset, replace(QUICK, batch_size=100))
    run(large)
    run(exact)
    assert learnt(large) == learnt(exact)


@pytest.mark.parametrize(("accumulate", "expected"), [(2, [16] * 6), (16, [8] * 12)])
def test_parts_have_eight_images(
    dataset: Dataset, accumulate: int, expected: list[int]
) -> None:
    sizes = Sizes()
    training(dataset, replace(QUICK, accumulate=accumulate), sizes).next_epoch()
    assert sizes.seen == expected


def test_norms_are_measured_with_the_weights_as_they_are(dataset: Dataset) -> None:
    model = Tiny()
    trained = training(dataset, model=model)
    trained.next_epoch()
    convolved = model[0](dataset.normalise(dataset.train.images))
    assert torch.allclose(model[1].running_mean, convolved.mean((0, 2, 3)), atol=1e-5)
    assert model[1].momentum == 0.1


def test_one_image_more_than_batches(dataset: Dataset) -> None:
    seen = training(dataset, replace(QUICK, batch_size=33)).next_epoch()
    assert seen["images_per_second"] > 0


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


def test_one_image_cannot_train(dataset: Dataset) -> None:
    alone = replace(dataset, train=two_shades(1, 0))
    with pytest.raises(
        ValueError, match=r"too few training images: 1 process.* there are 1"
    ):
        training(alone)


@pytest.mark.parametrize("images", [2, 3, 33])
def test_fewer_images_than_a_batch(dataset: Dataset, images: int) -> None:
    few = replace(dataset, train=two_shades(images, 0))
    assert training(few, replace(QUICK, accumulate=16)).next_epoch()["epoch"] == 1
