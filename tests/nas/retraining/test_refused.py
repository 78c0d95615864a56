"""What a retraining refuses, in one line."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import nas
from evaluators import (
    DataSettings,
    Recipe,
)
from nas.retraining.plan import check_settings
from nas.retraining.source import Origin
from search_spaces import reference
from tests.nas.retraining.digits import invoke, refusal, train


def test_bad_input_is_one_line(run: Path, arch: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    data = ("--data", "digits", "--serial", "--out", out)
    for arguments, message in {
        (
            "nowhere",
            "--out",
            out,
        ): "nowhere: no such run folder or .json file, nor a published network",
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
        ): "unknown preset 'rest'; did you mean resnest?",
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
    result = invoke(
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
    assert result.exit_code == 2
    message = result.output.splitlines()[-1]
    assert message.startswith("error: ")
    assert "loss" in message
    assert "try a lower lr" in message


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
