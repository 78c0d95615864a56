"""Ranks of short trainings against those of full ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

import nas
from nas.studies.proxy_study import proxy_study, sample_networks
from results import load_run
from results.statistics.rank_agreement import rank_agreement


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search") / "run"
    settings = (
        "trials=9",
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


def test_study_compares_the_proxy_with_full_training(run: Path) -> None:
    options = {"overrides": ("networks=4", "epochs=1", "engine=serial")}
    study = proxy_study(run, **options)  # type: ignore[arg-type]
    table = study.networks
    assert len(table) == 4
    last = study.agreement.iloc[-1]
    assert last["kendall"] == pytest.approx(
        kendalltau(table["epoch_2"], table["full"]).statistic
    )
    assert last["kendall_lower"] <= last["kendall"] <= last["kendall_upper"]
    assert f"your 2-epoch proxy ranks at tau {last['kendall']:.2f}" in study.verdict
    retrained = load_run(run).retrained.set_index("trial")["top1"]
    assert (
        retrained.sort_index().tolist()
        == table.set_index("trial")["full"].sort_index().tolist()
    )
    assert (
        json.loads((run / "proxy_study" / "proxy_study.json").read_text())["verdict"]
        == study.verdict
    )
    told: list[object] = []
    again = proxy_study(run, on_epoch=lambda *epoch: told.append(epoch), **options)  # type: ignore[arg-type]
    assert told == []
    pd.testing.assert_frame_equal(again.networks, table)


def test_sample_is_half_front_half_the_rest(run: Path) -> None:
    loaded = load_run(run)
    front = set(loaded.front()["trial"])
    sample = sample_networks(loaded, 6)
    assert len(set(sample)) == 6
    assert len(front & set(sample)) == min(len(front), max(3, 6 - (9 - len(front))))
    assert sample == sample_networks(loaded, 6)


@pytest.mark.parametrize("count", [3, 10])
def test_too_few_or_too_many(run: Path, count: int) -> None:
    with pytest.raises(
        ValueError, match=f"networks {count}: must be at least 4, and at most 9"
    ):
        sample_networks(load_run(run), count)


def test_agreement_of_equal_and_reversed_ranks() -> None:
    full = pd.Series(np.linspace(0.5, 0.9, 12))
    proxy = pd.DataFrame({1: -full, 2: full**3, 3: 0.5})
    table = rank_agreement(proxy, full).set_index("proxy")
    assert table.loc[1, ["kendall", "spearman"]].tolist() == pytest.approx([-1, -1])
    assert table.loc[
        2, ["kendall", "kendall_lower", "kendall_upper"]
    ].tolist() == pytest.approx([1, 1, 1])
    assert np.isnan(table.loc[3, "kendall"])


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    truth = 2 / np.pi * np.arcsin(0.8)  # tau of a normal pair with correlation 0.8
    covered = 0
    for _ in range(40):
        x, y = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 40).T
        row = rank_agreement(pd.DataFrame({1: x}), pd.Series(y), samples=200).iloc[0]
        covered += row["kendall_lower"] <= truth <= row["kendall_upper"]
    assert covered >= 33


def test_few_networks_have_no_rank_correlation() -> None:
    with pytest.raises(
        ValueError, match="3 networks with all values; a rank correlation needs 4"
    ):
        rank_agreement(
            pd.DataFrame({1: [1.0, 2.0, 3.0, np.nan]}), pd.Series([1.0, 2.0, 3.0, 4.0])
        )
