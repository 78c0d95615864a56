"""Retrainings that are interrupted, and those of several processes, come to the same."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import nas
from evaluators import (
    Metrics,
    load_model,
)
from evaluators.training.checkpoint import load_checkpoint
from tests.nas.retraining.digits import (
    QUICK,
    StoppedError,
    comparable,
    stop_after,
    train,
)


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
