"""Retraining on digits: from a search to a tested model folder."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from click.testing import CliRunner

import run_search
from evaluators import (
    load_model,
    load_test,
    read_model_folder,
    write_model_folder,
)
from nas.engines.ray_room import room
from nas.retraining.ray_train import equal_share
from nas.retraining.source import find_origin
from results import load_run
from search_spaces import build, complexity
from tests.nas.retraining.digits import (
    SMALL,
    invoke,
    train,
)


def test_from_a_selection_to_a_tested_model_folder(run: Path, tmp_path: Path) -> None:
    out, selected = tmp_path / "retrained", tmp_path / "selected.json"
    picked = CliRunner().invoke(
        run_search.main, ["select", str(run), "--out", str(selected)]
    )
    assert picked.exit_code == 0, picked.output
    result = invoke(
        selected, "--set", "epochs=2", "--seeds", "2", "--serial", "--out", out
    )
    assert result.exit_code == 0, result.output
    found = json.loads((out / "result.json").read_text())
    assert len(found["seeds"]) == 2
    assert found["mean"]["top1"] == pytest.approx(
        sum(seed["top1"] for seed in found["seeds"]) / 2
    )
    assert found["spread"].keys() == found["mean"].keys()
    chosen = found["seeds"][found["chosen_seed"]]
    assert chosen["validation_accuracy"] == max(
        seed["validation_accuracy"] for seed in found["seeds"]
    )
    assert (
        len(pd.read_parquet(out / "epochs.parquet"))
        == len(pd.read_csv(out / "epochs.csv"))
        == 4
    )
    assert yaml.safe_load((out / "recipe.yaml").read_text())["epochs"] == 2
    assert list((out / "tensorboard" / "seed-1").glob("events*"))
    tells_the_truth(out, chosen["top1"])
    rows = load_run(run).retrained
    rows = rows[rows["folder"] == str(out)]
    assert list(rows["seed"]) == [0, 1]
    assert list(rows["top1"]) == [seed["top1"] for seed in found["seeds"]]
    assert set(rows["trial"]) == {json.loads(selected.read_text())["trial"]}
    assert (
        invoke(
            selected, "--set", "epochs=2", "--seeds", "2", "--serial", "--out", out
        ).exit_code
        == 0
    )
    assert (load_run(run).retrained["folder"] == str(out)).sum() == 2


def tells_the_truth(folder: Path, top1: float) -> None:
    """The folder's weights, through its own preprocessing, are as often right on the test images as it says."""
    model, test = read_model_folder(folder), load_test("digits")
    mean, std = torch.tensor(model.preprocess.mean), torch.tensor(model.preprocess.std)
    with torch.inference_mode():
        logits = load_model(folder)(
            (test.images / 255 - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)
        )
    assert (logits.argmax(1) == test.labels).float().mean().item() == pytest.approx(
        top1, abs=0.003
    )
    assert model.metrics["top1"] == top1
    assert model.metrics["macs"] == complexity(model.arch, model.task).macs


def test_trains_on_everything_if_told(arch: Path, tmp_path: Path) -> None:
    found = train(arch, tmp_path / "out", "full=true", "epochs=1")
    assert "accuracy" not in found.epochs
    assert "validation_accuracy" not in found.mean
    assert found.mean["top1"] > 0
    assert (
        read_model_folder(tmp_path / "out").found_by["trained_on"]
        == "train and validation"
    )


def test_starts_from_other_weights(arch: Path, tmp_path: Path) -> None:
    first = train(arch, tmp_path / "first", "epochs=4")
    notes: list[str] = []
    second = train(
        arch,
        tmp_path / "second",
        "epochs=1",
        "lr=0.001",
        init=str(first.folder),
        note=notes.append,
    )
    assert "100.0% of the parameters" in notes[0]
    fresh = train(arch, tmp_path / "fresh", "epochs=1", "lr=0.001")
    assert second.epochs["train_loss"][0] < fresh.epochs["train_loss"][0] - 0.3
    assert read_model_folder(second.folder).found_by["init"] == str(first.folder)


def test_what_takes_a_while_is_told_before_it_does(arch: Path, tmp_path: Path) -> None:
    told: list[str] = []
    train(
        arch,
        tmp_path / "out",
        "epochs=2",
        on_epoch=lambda seed, epochs, metrics: told.append(f"ended {metrics['epoch']}"),
        progress=lambda what, done, total: told.append(what),
    )
    ours = [what for what in told if what.startswith(("seed", "ended"))]
    assert ours == [
        "seed 0: in epoch 1 of 2",
        "ended 1",
        "ended 2",
        "seed 0: testing",
    ]


def test_weights_for_other_classes_get_a_new_classifier(
    arch: Path, tmp_path: Path
) -> None:
    folder = train(arch, tmp_path / "ten", "epochs=1").folder
    model = read_model_folder(folder)
    task = type(model.task)(3, model.task.resolution, 1, True)
    three = type(model)(model.arch, task, model.preprocess, ("a", "b", "c"))
    write_model_folder(tmp_path / "three", three, build(SMALL, task).state_dict())
    notes: list[str] = []
    train(
        arch,
        tmp_path / "out",
        "epochs=1",
        init=str(tmp_path / "three"),
        note=notes.append,
    )
    assert "new: fc.weight, fc.bias" in notes[0]


def test_the_best_of_the_front_or_a_trial(run: Path) -> None:
    front = load_run(run).front()
    assert find_origin(str(run)).trial == front.iloc[0]["trial"]
    assert find_origin(str(run), 3).arch.id == load_run(run).trials["arch_id"][3]


def test_no_process_is_spread_over_two_nodes() -> None:
    nodes = [{"CPU": 4.0}, {"CPU": 4.0}, {"CPU": 5.0}]
    assert equal_share(nodes, 1) == 5
    # a sixth of 13 is 6, which no node has
    assert equal_share(nodes, 2) == equal_share(nodes, 3) == 4
    assert equal_share(nodes, 6) == 2
    assert equal_share(nodes, 13) == 1
    assert room(nodes, 3, 0) == 3
    assert room([{"CPU": 4, "GPU": 1}], 1, 0.1) == 4
