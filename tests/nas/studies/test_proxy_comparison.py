"""Candidates for a search's short training, compared before the search."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from nas import load_config
from nas.studies.proxy_comparison import (
    _judge,
    compare_proxies,
    longer,
    standard_candidates,
)
from tests.nas.tiny import TINY

SHORT = [*TINY, "engine=serial", "data.subset=160", "training.epochs=1"]


@pytest.fixture
def candidates(tmp_path: Path) -> Path:
    path = tmp_path / "candidates.yaml"
    path.write_text("plain: {training: {}}\nmuon: {training: {optimizer: muon}}\n")
    return path


@pytest.mark.slow
def test_recommends_what_a_search_can_be_given(
    tmp_path: Path, candidates: Path
) -> None:
    notes: list[str] = []
    options = {"candidates": candidates, "networks": 4, "times": 2, "overrides": SHORT}
    found = compare_proxies("quick", tmp_path / "out", note=notes.append, **options)  # type: ignore[arg-type]
    assert sorted(found.table["proxy"]) == ["muon", "plain", "truth"]
    assert found.table["networks"].tolist() == [4, 4, 4]
    best = found.table.iloc[0]["proxy"]
    assert found.verdict.startswith(f"search with {best}: it ranks 4 networks")
    told = json.loads((tmp_path / "out" / "proxies.json").read_text())
    assert told["verdict"] == found.verdict
    settings = yaml.safe_load((tmp_path / "out" / "recommended.yaml").read_text())
    assert settings["training"]["optimizer"] == {"plain": "sgd", "muon": "muon"}[best]
    values = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    assert load_config("quick", values).training.optimizer in ("sgd", "muon")
    assert len(notes) == 6

    again = compare_proxies("quick", tmp_path / "out", **options)  # type: ignore[arg-type]
    assert again.table.equals(found.table)


def test_standard_candidates_cost_as_many_visits() -> None:
    base = load_config("quick", SHORT)
    found = standard_candidates(base)
    assert list(found) == ["as configured", "distinct images", "one cycle", "muon"]
    assert found["as configured"] == base
    for config in list(found.values())[1:]:
        assert config.data.subset is None
        assert config.training.images_per_epoch == 120
        # as many validate as before
        assert round(config.data.validation * 1437) == 40
    assert found["muon"].training.schedule == "one_cycle"
    whole = standard_candidates(load_config("quick"))
    assert list(whole) == ["as configured", "one cycle", "muon"]


def test_the_truth_is_the_same_training_stretched() -> None:
    base = load_config("quick", ["training.warmup_epochs=2"])
    recipe = longer(base, 5).training
    assert recipe == replace(base.training, epochs=30, warmup_epochs=10)
    assert recipe.lr_at(5) == pytest.approx(base.training.lr_at(1))


def test_ranks_need_four_networks(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--networks: must be at least 4"):
        compare_proxies("quick", tmp_path / "out", networks=3)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one: {trainings: {}}", "one: must hold settings under training and data"),
        (
            "one: {training: {epoch: 3}}",
            "one: training.epoch: unknown key; did you mean epochs",
        ),
        ("truth: {}", "truth: is what candidates are judged by"),
        ("[]", "a mapping of settings is needed"),
    ],
)
def test_candidates_that_are_none(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "candidates.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as refused:
        compare_proxies("quick", tmp_path / "out", candidates=path, overrides=SHORT)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("gain", [0.0, 0.02])
def test_what_size_is_worth_is_recommended_where_it_shows(gain: float) -> None:
    rng = np.random.default_rng(0)
    doublings = rng.uniform(16, 19, 24)
    short = rng.normal(0.58, 0.02, 24)
    accuracies = {"short": short, "truth": short + gain * doublings}
    runs = {
        (name, seed): SimpleNamespace(
            complete=pd.DataFrame(
                {
                    "arch_id": [f"n{number}" for number in range(24)],
                    "accuracy": values + rng.normal(0, 0.005, 24),
                    "params": 2**doublings,
                    "macs": 1e6 * rng.uniform(1, 2, 24),
                    "seconds": 1.0,
                }
            )
        )
        for name, values in accuracies.items()
        for seed in range(2)
    }
    config = load_config("quick")
    found = _judge(runs, {"short": config})  # type: ignore[arg-type]
    if gain:
        assert found.settings["size_gain"] == pytest.approx(gain, rel=0.3)
        assert "twice the parameters make up for" in found.verdict
    else:
        assert "size_gain" not in found.settings
        assert "that size counts beyond it is not shown" in found.verdict
    assert found.size_gain["lower"] < gain < found.size_gain["upper"]
