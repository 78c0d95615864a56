"""A dry run tells the cost of a search and writes nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import run_search
from evaluators import ProxyTraining, Source, Split
from nas import load_config
from nas.studies.dry_run import dry_run
from search_spaces import Task, complexity
from tests.nas.tiny import TINY

DIGITS = Task(num_classes=10, resolution=8, channels=1, small_images=True)


def test_the_extremes_are_those_of_the_whole_space(tmp_path: Path) -> None:
    narrow = [
        *TINY,
        "space.stem_width=8",
        "space.deep_stem=false",
        "space.avd=false",
        "space.cardinality=1",
    ]
    config = load_config(
        "quick",
        [*narrow, "space.bottleneck_width=64", "space.width2=[8,16,24]", "trials=50"],
    )
    found = dry_run(config, tmp_path / "none")
    choices = product((1, 2, 4), (8, 16, 24))
    every = [
        replace(found.smallest.arch, radix=radix, widths=(8, width, 16, 16))
        for radix, width in choices
    ]
    macs = [complexity(arch, DIGITS).macs for arch in every]
    assert (found.smallest.cost.macs, found.largest.cost.macs) == (min(macs), max(macs))
    assert not list(tmp_path.iterdir())


def test_the_hours_are_about_those_of_a_real_training(tmp_path: Path) -> None:
    config = load_config("quick", [*TINY, "trials=10", "engine=serial"])
    found = dry_run(config, tmp_path)
    (real,) = ProxyTraining(config.data, config.training).evaluate(found.largest.arch)
    guessed = found.hours[1] * 3600 / config.trials - found.largest.other_seconds
    assert found.at_once == 1
    assert float(real["seconds"]) / 4 < guessed < float(real["seconds"]) * 4, (
        "the machine is not idle"
    )


def test_what_is_odd_is_said(tmp_path: Path) -> None:
    found = dry_run(
        load_config(
            "quick", [*TINY, "trials=100000", "stop.hours=0.001", "data.subset=200"]
        ),
        tmp_path,
    )
    assert any("validation images" in each for each in found.odd)
    assert any("stop.hours" in each for each in found.odd)
    assert found.hours[1] == 0.001


def test_a_busy_machine_costs_the_latency_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = "latency was disturbed: others took 87% of the CPU"
    monkeypatch.setattr(
        "evaluators.latency.latency.refusal_of", lambda result, settings: busy
    )
    settings = [
        "evaluators=[complexity, latency, training]",
        "objectives.latency_ms=min",
        "latency.keep_disturbed=false",
    ]
    found = dry_run(load_config("quick", [*TINY, *settings]), tmp_path)
    (told,) = (each for each in found.odd if "latency" in each)
    assert told.startswith(f"trials would fail as things are now: {busy}")
    assert found.hours[1] > 0


def floats() -> Source:
    split = Split(torch.rand(40, 3, 8, 8), torch.arange(40) % 2)
    return Source(split, split, True)


def test_what_no_model_folder_could_hold_is_said_first(tmp_path: Path) -> None:
    settings = [*TINY, "data=tests.nas.studies.test_dry_run:floats", "trials=2"]
    found = dry_run(load_config("quick", [*settings, "engine=serial"]), tmp_path)
    assert any("retrain and export will refuse" in each for each in found.odd)
    with pytest.raises(ValueError, match="floats of unknown scale"):
        dry_run(load_config("quick", [*settings, "finalists={networks: 1}"]), tmp_path)


def test_settings_of_the_finalists_are_checked() -> None:
    words = ["search", "quick", "--dry-run", "--set", "finalists={recipe: slow}"]
    result = CliRunner().invoke(run_search.main, words)
    assert result.exit_code == 2
    assert "slow" in result.stderr


def test_the_command_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = [part for setting in TINY for part in ("--set", setting)]
    result = CliRunner().invoke(
        run_search.main, ["search", "quick", "--dry-run", *settings]
    )
    assert result.exit_code == 0, result.output
    assert "networks  40" in result.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("limits={macs: 5}", "found no architecture"),
        ("engine=seriall", r"unknown engine 'seriall'; did you mean serial\?"),
        ("loggers=[tensorbord]", r"'tensorbord'; did you mean tensorboard\?"),
        ("loggers=[no_module:Logger]", "logger 'no_module:Logger' cannot be imported"),
    ],
)
def test_what_a_search_would_refuse_is_refused(
    tmp_path: Path, setting: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        dry_run(load_config("quick", [setting]), tmp_path)
