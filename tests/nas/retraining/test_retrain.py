"""Retraining on digits: from a search to a tested model folder, through interruptions and bad input."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from click.testing import CliRunner, Result

import nas
import run_search
from evaluators import (
    DataSettings,
    Metrics,
    Recipe,
    load_model,
    load_test,
    read_model_folder,
    write_model_folder,
)
from evaluators.training.checkpoint import load_checkpoint
from nas.engines.ray_room import room
from nas.retraining.plan import check_settings
from nas.retraining.ray_train import equal_share
from nas.retraining.result import RetrainingResult
from nas.retraining.source import Origin, find_origin
from results import load_run
from search_spaces import ResNeSt, build, complexity, reference

SMALL = ResNeSt(depths=(1, 1, 1, 1), widths=(8, 8, 8, 16), stem_width=8, radix=2)
QUICK = ("epochs=3", "data.subset=400", "batch_size=64")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search") / "run"
    settings = (
        "trials=5",
        "training.epochs=2",
        "data.subset=200",
        "objectives={accuracy: max, flops: min}",
    )
    config = nas.load_config(
        "quick",
        (*settings, "reference_point=null", "evaluators=[complexity, training]"),
    )
    nas.search(config, folder, serial=True)
    return folder


@pytest.fixture
def arch(tmp_path: Path) -> Path:
    path = tmp_path / "arch.json"
    path.write_text(json.dumps({"arch": SMALL.to_dict()}))
    return path


def train(
    source: Path | None, out: Path, *more: str, **options: Any
) -> RetrainingResult:
    settings = {"overrides": (*QUICK, *more) if source else more}
    data = {"data": "digits"} if source and source.name == "arch.json" else {}
    options = ({"engine": "serial"} if source else {}) | options
    return nas.retrain(source, out, **settings | data | options)


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(run_search.main, ["retrain", *map(str, arguments)])


def refusal(*arguments: str | Path) -> str:
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    (line,) = [line for line in result.output.splitlines() if line]
    return line


def comparable(epochs: pd.DataFrame) -> pd.DataFrame:
    return epochs.drop(columns=["seconds", "images_per_second"])


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


class StoppedError(Exception):
    pass


def stop_after(epoch: int) -> Any:
    def on_epoch(seed: int, epochs: int, metrics: Metrics) -> None:
        if metrics["epoch"] == epoch:
            raise StoppedError

    return on_epoch


def test_goes_on_to_the_bit(arch: Path, tmp_path: Path) -> None:
    whole = train(arch, tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(arch, tmp_path / "halves", on_epoch=stop_after(2))
    seen: list[tuple[int, int, Any]] = []
    again = train(
        None,
        tmp_path / "halves",
        on_epoch=lambda *told: seen.append((*told[:2], told[2]["epoch"])),
    )
    assert seen == [(0, 3, 3)]  # the other epochs are not repeated
    pd.testing.assert_frame_equal(comparable(again.epochs), comparable(whole.epochs))
    assert again.mean["test_loss"] == whole.mean["test_loss"]
    weights = [load_model(found.folder).state_dict() for found in (again, whole)]
    assert all(
        torch.equal(value, weights[1][name]) for name, value in weights[0].items()
    )


def test_a_corrupt_checkpoint_falls_back_to_the_one_before(
    arch: Path, tmp_path: Path
) -> None:
    whole = train(arch, tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(arch, tmp_path / "out", on_epoch=stop_after(2))
    last = tmp_path / "out" / "seed-0" / "last.pt"
    last.write_bytes(last.read_bytes()[:1000])
    notes: list[str] = []
    again = train(arch, tmp_path / "out", note=notes.append)
    assert f"checkpoint {last.absolute()} is damaged" in notes[0]
    assert notes[1] == "seed 0 goes on after epoch 1"
    pd.testing.assert_frame_equal(comparable(again.epochs), comparable(whole.epochs))


def test_a_full_disk_leaves_the_last_good_checkpoint(
    arch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoppedError):
        train(arch, tmp_path / "out", on_epoch=stop_after(1))
    seed = tmp_path / "out" / "seed-0"
    before = (seed / "last.pt").read_bytes()

    def full(*arguments: Any) -> None:
        raise RuntimeError(
            "[enforce fail] PytorchStreamWriter failed writing file: No space left on device"
        )

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", full)
        with pytest.raises(OSError, match=r"cannot be written .*No space left"):
            train(arch, tmp_path / "out")
    assert (seed / "last.pt").read_bytes() == before
    assert train(arch, tmp_path / "out").epochs["epoch"].tolist() == [1, 2, 3]


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


def test_bad_input_is_one_line(run: Path, arch: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    data = ("--data", "digits", "--serial", "--out", out)
    for arguments, message in {
        (
            "nowhere",
            "--out",
            out,
        ): "nowhere: no such run folder or .json file, and no published network",
        (tmp_path / "no.json", "--out", out): "cannot be read as JSON",
        (arch, "--out", out): "--data: nothing says on which images",
        (run, "--trial", "77", "--out", out): "has no such trial (its last is 4)",
        (
            run,
            "--data",
            "cifar10",
            "--out",
            out,
        ): "data.name is cifar10 and was digits in the search",
        (
            arch,
            "--recipe",
            "rest",
            *data,
        ): "unknown preset 'rest': did you mean resnest?",
        (arch, "--set", "epoch=1", *data): "unknown key; did you mean epochs?",
        (arch, "--set", "data.rot=x", *data): "did you mean root?",
        (arch, "--seeds", "0", *data): "seeds",
        (
            arch,
            "--init",
            tmp_path / "no.pth",
            *data,
        ): "no such weights file or model folder",
        (arch, "--workers", "2", *data): "only one process trains without Ray",
        (arch, "--set", "batch_size=1", *data): "batch_size: must be at least 2",
        ("--resume", tmp_path / "empty"): "no retraining to go on with",
        ("--resume", run, "--seeds", "2"): "leave out seeds",
        (arch,): "name a SOURCE and --out DIR, or --resume DIR",
        (run, "--out", run): "exists already and holds no retraining",
    }.items():
        assert message in refusal(*arguments)


def test_another_retraining_in_the_folder(arch: Path, tmp_path: Path) -> None:
    train(arch, tmp_path / "out", "epochs=1")
    with pytest.raises(
        ValueError,
        match=r"has a retraining with recipe.lr 0.4, not 0.1; name a new folder",
    ):
        train(arch, tmp_path / "out", "epochs=1", "lr=0.1")
    # more seeds are welcome
    assert len(train(arch, tmp_path / "out", "epochs=1", seeds=2).seeds) == 2


def test_images_that_are_not_the_searchs(run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    facts = json.loads((moved / "environment.json").read_text())
    facts["task"]["num_classes"] = 7
    (moved / "environment.json").write_text(json.dumps(facts))
    with pytest.raises(
        ValueError, match=r"the images ask for Task\(num_classes=10.*--other-data"
    ):
        train(moved, tmp_path / "out", "epochs=1")
    assert train(moved, tmp_path / "out", "epochs=1", other_data=True).mean["top1"] > 0


def test_images_of_a_published_search_lie_anywhere() -> None:
    published = Origin(reference("resnest14d"), DataSettings("cifar10", None), Recipe())
    check_settings(DataSettings("cifar10", "/here"), published)
    with pytest.raises(ValueError, match=r"data\.name is cifar100 and was cifar10"):
        check_settings(DataSettings("cifar100", "/here"), published)
    with pytest.raises(ValueError, match=r"data\.root is /here and was /there"):
        check_settings(
            DataSettings("cifar10", "/here"),
            replace(published, data=DataSettings("cifar10", "/there")),
        )


def test_divergence_is_told(arch: Path, tmp_path: Path) -> None:
    message = refusal(
        *(
            arch,
            "--data",
            "digits",
            "--set",
            "lr=1e12",
            "--set",
            "epochs=2",
            "--set",
            "data.subset=400",
        ),
        *("--serial", "--out", tmp_path / "out"),
    )
    assert "loss" in message
    assert "try a lower lr" in message


@pytest.fixture
def plain(arch: Path) -> dict[str, Any]:
    """No chance but the order of the images, and norms over the whole batch."""
    return {
        "overrides": (*QUICK, "sync_norm=true", "augment={}", "lr=0.1"),
        "data": "digits",
    }


def test_two_workers_follow_the_curve_of_one(
    ray_session: None, arch: Path, tmp_path: Path, plain: dict[str, Any]
) -> None:
    one = nas.retrain(arch, tmp_path / "one", engine="serial", **plain)
    two = nas.retrain(arch, tmp_path / "two", workers=2, **plain)
    for name in ("train_loss", "validation_loss"):
        assert two.epochs[name].tolist() == pytest.approx(
            one.epochs[name].tolist(), abs=2e-3
        )
    assert two.mean["top1"] == pytest.approx(one.mean["top1"], abs=0.01)


@pytest.mark.slow
def test_a_lost_worker_costs_an_epoch_at_most(
    ray_session: None, arch: Path, tmp_path: Path
) -> None:
    notes: list[str] = []
    seen: list[int] = []

    def kill_once(seed: int, epochs: int, metrics: Metrics) -> None:
        seen.append(int(metrics["epoch"]))
        if len(seen) == 1:
            os.kill(train_worker(), signal.SIGKILL)

    told: dict[str, Any] = {"on_epoch": kill_once, "note": notes.append}
    overrides = ("epochs=6", "batch_size=64")
    found = nas.retrain(
        arch, tmp_path / "out", overrides=overrides, data="digits", **told
    )
    assert any(note.startswith("a worker was lost") for note in notes)
    # none is told of twice
    assert found.epochs["epoch"].tolist() == sorted(set(seen)) == seen


def train_worker() -> int:
    """The process that trains: of Ray's workers under this process, the one that Ray Train named."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"RayTrainWorker" in (folder / "cmdline").read_bytes() and is_below_us(
                int(folder.name)
            ):
                return int(folder.name)
    raise AssertionError("no worker trains")


def is_below_us(process: int) -> bool:
    while process > 1:
        process = int(
            Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1]
        )
        if process == os.getpid():
            return True
    return False


def test_checkpoints_know_whose_they_are(arch: Path, tmp_path: Path) -> None:
    train(arch, tmp_path / "out", "epochs=1")
    path = tmp_path / "out" / "seed-0" / "last.pt"
    owner = torch.load(path, weights_only=True)["owner"]
    with pytest.raises(ValueError, match="another run's: seed is 0 there and 1 here"):
        load_checkpoint(path, owner | {"seed": 1}, torch.device("cpu"))


def test_weights_cut_off_as_they_were_written_are_made_anew(
    arch: Path, tmp_path: Path
) -> None:
    first = train(arch, tmp_path / "first", "epochs=1").folder
    whole = train(arch, tmp_path / "whole", "epochs=1", init=str(first))
    seed = tmp_path / "killed" / "seed-0"
    with pytest.raises(StoppedError):
        train(arch, tmp_path / "killed", "epochs=1", init=str(first), note=stop)
    start = tmp_path / "whole" / "seed-0" / "start.safetensors"
    (seed / "start.safetensors").write_bytes(start.read_bytes()[:1000])
    again = train(arch, tmp_path / "killed", "epochs=1", init=str(first))
    pd.testing.assert_frame_equal(comparable(again.epochs), comparable(whole.epochs))


def stop(text: str) -> None:
    raise StoppedError


WRONG = {
    "epochs=many": "fast: epochs: must be a whole number, got 'many'",
    "compile=yes please": "fast: compile: must be true or false, got 'yes please'",
    "seeds=0": "fast: seeds: must be at least 1, got 0",
    "ray.adress=auto": "fast: ray.adress: unknown key; did you mean address?",
    "resources.cpus=0": "fast: resources.cpus: must be greater than 0, got 0",
    "engine=rai": "fast: engine: must be 'ray' or 'serial', got 'rai'",
    "data=3": "data: must be a mapping of settings, got 3",
    "data.validation=2": "data: validation: must be above 0 and below 1, got 2",
    "worker=2": "fast: worker: unknown key; did you mean workers?",
    "rung_images=50": "fast: rung_images: 50 is for short trainings",
}


@pytest.mark.parametrize("override", WRONG)
def test_a_wrong_setting_is_named_in_one_line(
    arch: Path, tmp_path: Path, override: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(WRONG[override])) as caught:
        nas.retrain(arch, tmp_path / "out", overrides=["data=digits", override])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_what_may_change_when_a_retraining_goes_on(arch: Path, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        train(arch, tmp_path / "out", "epochs=2", on_epoch=stop_after(1))
    with pytest.raises(
        ValueError, match="--set epochs: cannot change when a retraining goes on"
    ):
        nas.retrain(None, tmp_path / "out", overrides=["epochs=3"])
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    for name in ("engine", "resources", "ray"):  # which an earlier version did not have
        del plan[name]
    (tmp_path / "out" / "plan.json").write_text(json.dumps(plan))
    found = nas.retrain(None, tmp_path / "out", overrides=["engine=serial", "seeds=2"])
    assert found.epochs["epoch"].tolist() == [1, 2, 1, 2]


def test_no_process_is_spread_over_two_nodes() -> None:
    nodes = [{"CPU": 4.0}, {"CPU": 4.0}, {"CPU": 5.0}]
    assert equal_share(nodes, 1) == 5
    # a sixth of 13 is 6, which no node has
    assert equal_share(nodes, 2) == equal_share(nodes, 3) == 4
    assert equal_share(nodes, 6) == 2
    assert equal_share(nodes, 13) == 1
    assert room(nodes, 3, 0) == 3
    assert room([{"CPU": 4, "GPU": 1}], 1, 0.1) == 4
