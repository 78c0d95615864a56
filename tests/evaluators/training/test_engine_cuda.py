"""What only a GPU can show; the shapes are small, so that any GPU will do."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from evaluators import Recipe, load
from evaluators.devices.seeding import build_seeded
from evaluators.training.engine import Training
from search_spaces import ResNeSt

pytestmark = pytest.mark.cuda

ARCH = ResNeSt((1, 1, 1, 1), (8, 16, 32, 64), stem_width=8)
RECIPE = Recipe(epochs=2, precision="float32")


def train(recipe: Recipe, **more: float) -> Training:
    device = torch.device("cuda", 0)
    dataset = load("digits", device)
    training = Training(
        build_seeded(ARCH, dataset.task, 0), dataset, recipe, device, **more
    )
    for _ in range(recipe.epochs):
        training.next_epoch()
    return training


def test_replayed_steps_train_as_eager_ones_do() -> None:
    replayed, eager = (
        train(RECIPE).history,
        train(replace(RECIPE, cuda_graph=False)).history,
    )
    assert [row["cuda_graph"] for row in replayed] == ["on", "on"]
    assert [row["cuda_graph"] for row in eager] == ["off: the recipe says so"] * 2
    for ours, theirs in zip(replayed, eager, strict=True):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], rel=0.02)


@pytest.mark.parametrize(
    "options", [{"accumulate": 2}, {"clip_norm": 1.0}, {"ema": 0.9}]
)
def test_graphs_take_every_choice(options: dict[str, float]) -> None:
    assert train(replace(RECIPE, **options)).history[-1]["cuda_graph"] == "on"


@pytest.mark.parametrize("precision", ["auto", "bfloat16", "float16"])
def test_reduced_precision_learns(precision: str) -> None:
    last = train(Recipe(epochs=6, precision=precision)).history[-1]
    assert last["accuracy"] > 0.95
    assert last["precision"] in ("bfloat16", "float16")


def test_peak_memory_is_told() -> None:
    assert all(0 < row["train_memory_mb"] < 2000 for row in train(RECIPE).history)


def test_goes_on_from_a_state_with_a_new_graph() -> None:
    training = train(RECIPE)
    other = train(replace(RECIPE, epochs=1))
    other.load_state_dict(training.state_dict())
    assert other.next_epoch()["epoch"] == 3


@pytest.fixture
def all_memory_again() -> Iterator[None]:
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.usefixtures("all_memory_again")
def test_more_than_its_share_of_memory_fails_with_the_reason() -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        train(RECIPE, memory_fraction=1e-6)
