"""What cannot become of finalists: one line each, exit code 2, and nothing half written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import nas
from nas.cli.commands import main
from nas.config.finalists import ExportConfig, SelectConfig
from nas.finalists.deliver import deliver
from nas.finalists.finalists import finalists
from nas.finalists.in_full import check_finalists
from nas.finalists.plan import plan_finalists
from search_spaces import reference
from tests.nas.finalists.few import HOW, SETTINGS


def type_in(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def refused(answer: Result, line: str) -> None:
    assert answer.exit_code == 2, answer.output
    assert answer.stderr.count("\n") == 1, answer.stderr
    assert line in answer.stderr


AFTER = {
    "networks=10": "networks 10: ",
    "networks=0": "finalists: networks: must be at least 1, got 0",
    "hours=1e-6": "hours 1e-06: the shortest training alone takes about",
    "hours=soon": "finalists: hours: must be a number, got 'soon'",
    "epoch=3": "epoch: unknown key; did you mean epochs",
    "lr=[0.1, 0.2]": "lr: must be a finite number, got [0.1, 0.2]",
    "full=true": "finalists.training.full: is for retrain",
    "baselines=[resnest50]": "baselines: resnest50 is outside the limits: macs is",
    "baselines=[nowhere.json]": "baselines: nowhere.json: cannot be read as JSON",
    "baselines=[resnest51]": "baselines: no published network 'resnest51'",
    "baselines=mine.json": "finalists: baselines: must be a list, got 'mine.json'",
    "data.name=cifar10": "finalists.training.data.name is cifar10 and",
    "data.resolution=16": "finalists.training.data.resolution is 16 and None",
    "data=[digits]": "finalists.training.data: must be a mapping",
    "data.validation=0.999": "data.validation: 0.999 is 300 of 300 images",
    "min_epochs=3": "finalists.min_epochs 3 is more than the 2 epochs of a training",
    "data.subset=1": "data.subset: 1 must be from 20, two images a class",
}


@pytest.mark.parametrize("override", AFTER)
def test_finalists_of_a_search(run: Path, override: str) -> None:
    how = ("networks=2", "epochs=2", override)
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the line is compared below
        plan_finalists(run, how)
    words = [part for each in how for part in ("--set", each)]
    answer = type_in("finalists", run, "--serial", *words)
    refused(answer, AFTER[override])
    assert answer.stderr == f"error: {raised.value}\n"
    assert not list(run.glob("*finalists*"))


@pytest.mark.parametrize(
    ("content", "line"),
    {
        "{bad": "cannot be read as JSON (Expecting property name",
        "[1]": "an architecture needs a field 'space'",
        '{"space": "resnest", "radix": 3}': "ResNeSt: radix must be 0, 1, 2 or 4, got 3",
        json.dumps(reference("resnest50").to_dict()): "is outside the limits: macs is",
    }.items(),
)
def test_baselines_that_are_no_rivals(
    run: Path, tmp_path: Path, content: str, line: str
) -> None:
    mine = tmp_path / "mine.json"
    mine.write_text(content)
    answer = type_in("finalists", run, "--set", f"baselines=[{mine}]")
    refused(answer, f"baselines: {mine}")
    assert line in answer.stderr
    assert not (run / "finalists").exists()


BEFORE = {
    "finalists.training.epoch=3": "epoch: unknown key",
    "finalists.training.lr=-1": "lr",
    "finalists.training.rung_images=5": "rung_images: 5 is for short trainings",
    "finalists.training.seeds=2": "finalists.training.seeds: is for retrain",
    "finalists.training.data.resolution=16": "resolution is 16 and None in the search",
    "finalists.min_epochs=31": "min_epochs 31 is more than the 30 epochs of a training",
    "finalists.recipe=slow": "unknown preset 'slow'",
    "finalists.networks=10": "finalists.networks 10 is more than all 9 trials",
    "finalists.baselines=[nowhere.json]": "nowhere.json: cannot be read",
    "finalists.baselines=[resnest50]": "baselines: resnest50 is outside the limits",
    "evaluators=[complexity, 'tests.nas.tiny:Own']": "finalists are trained as",
    "space=[resnest, resnest]": "resnest stands in the union twice",
    "space=[{name: regnety, resolution: 32}, resnest]": "is of the task, which is one",
    "training.epochs=[1, 2]": "training.epochs: cannot be a list of choices",
    "select.most=accuracy": "select.most: unknown key; there are maximize",
    "finalists=null": "select is of finalists",
}


@pytest.mark.parametrize("override", BEFORE)
def test_what_comes_after_the_search_is_checked_before_it(
    tmp_path: Path, override: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(SETTINGS + "finalists: {networks: 2}\nselect: {knee: true}\n")
    words = (file, "--out", tmp_path / "run", "--set", override)
    refused(type_in("search", *words), BEFORE[override])
    assert not (tmp_path / "run").exists()


def test_hours_too_short_are_told_by_a_dry_run(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(SETTINGS + "finalists: {networks: 2, hours: 1.0e-6}\n")
    answer = type_in("search", file, "--dry-run")
    assert answer.exit_code == 0, answer.output
    assert "finalists.hours 1e-06 is less than the shortest training" in answer.stdout


def test_when_all_trainings_fail_it_says_why_and_leaves_no_model(run: Path) -> None:
    how = (*HOW, "lr=1e30", "epochs=1")
    found = finalists(run, overrides=how)
    assert set(found.networks["status"]) == {"failed"}
    assert found.verdict[0] == "No network has been trained to its end."
    assert "trainings failed, that of trial" in found.verdict[1]
    answer = type_in(
        *("finalists", run, "--serial"),
        *(part for each in how for part in ("--set", each)),
    )
    assert answer.exit_code == 1
    assert found.verdict[1] in " ".join(answer.output.split())
    assert "pick" not in answer.output
    with pytest.raises(ValueError, match="no network of it has been trained in full"):
        deliver_best(run)


def deliver_best(run: Path) -> None:

    deliver(run, SelectConfig(), ExportConfig())


def test_check_finalists_from_python(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(SETTINGS + "finalists: {networks: 2}\n")
    check_finalists(nas.load_config(str(file)))
    with pytest.raises(ValueError, match="unknown preset 'slow'"):
        check_finalists(nas.load_config(str(file), ["finalists.recipe=slow"]))
