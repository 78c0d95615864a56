"""Numbers of different fidelities: kept apart in fronts, and never mixed by going on with a search."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import nas
from results import load_run, load_runs
from tests.nas.tiny import TINY

OWN = [
    "trials=2",
    "evaluators=[complexity, training]",
    "reference_point=null",
    "training.images_per_epoch=300",
]


def search(out: Path, *settings: str) -> None:
    objectives = "objectives={validation_loss: min, accuracy: max, flops: min}"
    config = nas.load_config("quick", (*TINY, *OWN, objectives, *settings))
    nas.search(config, out, serial=True)


def test_a_search_decides_by_any_metric_and_knows_what_it_was_measured_with(
    tmp_path: Path,
) -> None:
    search(tmp_path / "run")
    run = load_run(tmp_path / "run")
    assert set(run.trials["fidelity"]) == {
        "1 x 300 visits of 1078 images of 8 pixels, validated on 359"
    }
    assert run.front()["validation_loss"].min() == run.complete["validation_loss"].min()
    assert (run.complete["accuracy_se"] > 0).all()


def test_resume_refuses_another_fidelity_naming_both(tmp_path: Path) -> None:
    run = tmp_path / "run"
    search(run)
    values = yaml.safe_load((run / "config.yaml").read_text())
    values["training"]["images_per_epoch"] = 400
    values["trials"] = 3
    (run / "config.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(
        ValueError, match=r"1 x 300 visits .* 1 x 400 visits"
    ) as refused:
        nas.resume(run, serial=True)
    assert "\n" not in str(refused.value)


def test_fronts_keep_fidelities_apart(tmp_path: Path) -> None:
    search(tmp_path / "short")
    search(tmp_path / "long", "training.images_per_epoch=400")
    together = load_runs([tmp_path / "short", tmp_path / "long"], mixed=True)
    with pytest.raises(ValueError, match="2 fidelities do not compare"):
        together.front()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.images_per_epoch=1079", "images_per_epoch: must be at most 1078"),
        ("training.rung_images=360", "rung_images: must be at most 359"),
        ("objectives={accuracy_mirrored: max}", "accuracy_mirrored: no evaluator"),
    ],
)
def test_bad_fidelity_is_one_line_before_anything_is_written(
    tmp_path: Path, setting: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        search(tmp_path / "run", setting)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()
