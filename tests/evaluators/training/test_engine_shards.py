"""Two processes train on the same global batches as one."""

from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from evaluators import Dataset, Recipe, Split
from evaluators.devices.seeding import build_seeded
from evaluators.training.engine import Training
from evaluators.training.shard import Shard
from search_spaces import ResNeSt, Task

RECIPE = Recipe(epochs=2, batch_size=16, lr=0.1, warmup_epochs=0, accumulate=2)
TOLERANCE = 1e-5
SPLIT_ATTENTION = ResNeSt(
    depths=(1, 1, 1, 1), widths=(8, 8, 8, 8), stem_width=8, radix=2, cardinality=2
)


def train(shard: Shard, normed: bool = False) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (78,), generator=generator)
    images = (
        torch.randint(80, (78, 3, 6, 6), generator=generator)
        + 90 * labels[:, None, None, None]
    )
    split = Split(images.to(torch.uint8), labels)
    dataset = Dataset(
        split,
        split,
        Task(2, 6, 3, True),
        torch.full((3,), 80.0),
        torch.full((3,), 50.0),
    )
    torch.manual_seed(0)
    model: nn.Module = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 2)
    )
    if normed:
        model = build_seeded(SPLIT_ATTENTION, dataset.task, 0, zero_gamma=False)
    recipe = replace(RECIPE, accumulate=1, sync_norm=True) if normed else RECIPE
    training = Training(model, dataset, recipe, torch.device("cpu"), shard=shard)
    for _ in range(RECIPE.epochs):
        training.next_epoch()
    return {"model": training.model.state_dict(), "history": training.history}


def join(rank: int, folder: Path, normed: bool = False) -> None:
    """Train as one of two; what came of it goes to a file."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    torch.save(train(Shard(rank, 2), normed), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    "normed", [False, True], ids=["without norms", "norms synchronised"]
)
def test_two_processes_train_as_one_does(tmp_path: Path, normed: bool) -> None:
    other = get_context("spawn").Process(
        target=join, args=(1, tmp_path, normed), daemon=True
    )
    other.start()
    join(0, tmp_path, normed)
    other.join()
    one = train(Shard(), normed)
    two = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for name, value in one["model"].items():
        assert torch.equal(two[0]["model"][name], two[1]["model"][name])
        assert torch.allclose(two[0]["model"][name], value, atol=TOLERANCE)
    for name in ("accuracy", "train_loss", "validation_loss", "learning_rate"):
        curves = [[row[name] for row in told["history"]] for told in (one, *two)]
        assert curves[1] == curves[2]
        assert curves[1] == pytest.approx(curves[0], abs=TOLERANCE)


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_parts_of_a_batch_are_equal_and_disjoint(world_size: int) -> None:
    batch = torch.arange(17)
    parts = [Shard(rank, world_size).of(batch) for rank in range(world_size)]
    together = torch.cat(parts)
    assert len({len(part) for part in parts}) == 1
    assert len(together) == len(together.unique()) == 17 // world_size * world_size


@pytest.mark.parametrize("rank", [-1, 2])
def test_rank_outside(rank: int) -> None:
    with pytest.raises(ValueError, match=f"rank must lie between 0 and 1; got {rank}"):
        Shard(rank, 2)
