import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from evaluators import DataSettings, Metrics, Recipe, proxy_train
from results.metrics import CLOCKS
from search_spaces import ResNeSt

QUICK = Recipe(epochs=3, batch_size=128)


def learnt(rows: list[Metrics]) -> list[Metrics]:
    """What the seed decides: everything but the time it took."""
    return [{k: v for k, v in row.items() if k not in CLOCKS} for row in rows]


@pytest.fixture
def uninterrupted(arch: ResNeSt) -> list[Metrics]:
    return list(proxy_train(arch, recipe=QUICK))


def test_learns_the_digits() -> None:
    arch = ResNeSt((1, 1, 1, 1), (8, 16, 32, 64), stem_width=8)
    rows = list(proxy_train(arch, recipe=Recipe(epochs=6)))
    assert rows[0]["accuracy"] > 0.7
    assert rows[-1]["accuracy"] >= 0.97
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert all(row[name] > 0 for row in rows for name in CLOCKS)
    assert all(row["validation_seconds"] < row["seconds"] for row in rows)


def test_same_seed_same_numbers(arch: ResNeSt, uninterrupted: list[Metrics]) -> None:
    torch.rand(7)  # the global generator must not matter
    assert learnt(list(proxy_train(arch, recipe=QUICK))) == learnt(uninterrupted)


def test_other_seed_other_numbers(arch: ResNeSt, uninterrupted: list[Metrics]) -> None:
    assert learnt(list(proxy_train(arch, recipe=QUICK, seed=1))) != learnt(
        uninterrupted
    )


@pytest.mark.parametrize("finished", [1, 2, 3])
def test_resumed_equals_uninterrupted(
    arch: ResNeSt, uninterrupted: list[Metrics], tmp_path: Path, finished: int
) -> None:
    path = tmp_path / "checkpoints" / "trial.pt"
    training = proxy_train(arch, recipe=QUICK, checkpoint=path)
    before = [next(training) for _ in range(finished)]
    training.close()
    resumed = list(proxy_train(arch, recipe=QUICK, checkpoint=path))
    assert resumed[:finished] == before
    assert learnt(resumed) == learnt(uninterrupted)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_checkpoint_holds_the_same_weights_either_way(
    arch: ResNeSt, tmp_path: Path
) -> None:
    paths = tmp_path / "whole.pt", tmp_path / "parts.pt"
    list(proxy_train(arch, recipe=QUICK, checkpoint=paths[0]))
    for finished in range(1, QUICK.epochs + 1):
        training = proxy_train(arch, recipe=QUICK, checkpoint=paths[1])
        assert [next(training)["epoch"] for _ in range(finished)][-1] == finished
    whole, parts = (
        flat(torch.load(path, weights_only=True)["state"]) for path in paths
    )
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def flat(state: dict[Any, Any], prefix: str = "") -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, torch.Tensor):
            found[f"{prefix}{name}"] = value
    return found


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": 1}, "seed is 0 there and 1 here"),
        ({"recipe": dataclasses.replace(QUICK, lr=0.1)}, "recipe is"),
        ({"arch": ResNeSt((1, 1, 1, 1), (16, 8, 8, 8), stem_width=8)}, "arch is"),
        ({"data": DataSettings(split_seed=5)}, "data is"),
    ],
)
def test_checkpoint_of_another_run_is_refused(
    arch: ResNeSt, tmp_path: Path, changed: dict[str, Any], named: str
) -> None:
    path = tmp_path / "trial.pt"
    mine = {"arch": arch, "recipe": QUICK, "checkpoint": path}
    next(proxy_train(**mine))
    with pytest.raises(ValueError, match=rf"trial\.pt is another run's: {named}"):
        proxy_train(**mine | changed)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "foreign"])
def test_damaged_checkpoint(arch: ResNeSt, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "trial.pt"
    next(proxy_train(arch, recipe=QUICK, checkpoint=path))
    whole = path.read_bytes()
    if damage == "foreign":
        torch.save([1, 2], path)
    else:
        path.write_bytes(
            {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"hello"}[damage]
        )
    with pytest.raises(
        ValueError, match=r"trial\.pt is damaged or not ours; delete it"
    ):
        proxy_train(arch, recipe=QUICK, checkpoint=path)


def test_divergence_says_where(arch: ResNeSt) -> None:
    recipe = Recipe(epochs=3, lr=1e30, warmup_epochs=0)
    with pytest.raises(
        FloatingPointError, match=r"loss (nan|inf) in epoch 1, step \d+ of 17"
    ):
        list(proxy_train(arch, recipe=recipe))


def test_last_batch_of_one_image_is_dropped(arch: ResNeSt) -> None:
    # 1078 images leave one over from batches of 359
    assert (
        next(proxy_train(arch, recipe=Recipe(epochs=1, batch_size=359)))["epoch"] == 1
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_cuda_where_none_is(arch: ResNeSt) -> None:
    with pytest.raises(ValueError, match="there is no device 'cuda'"):
        proxy_train(arch, device="cuda")


@pytest.mark.cuda
def test_trains_on_cuda(arch: ResNeSt, tmp_path: Path) -> None:
    path = tmp_path / "trial.pt"
    first = next(proxy_train(arch, recipe=QUICK, device="cuda", checkpoint=path))
    rows = list(proxy_train(arch, recipe=QUICK, device="cuda", checkpoint=path))
    assert rows[0] == first
    assert len(rows) == QUICK.epochs
