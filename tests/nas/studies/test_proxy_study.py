"""Ranks of short trainings against those of full ones."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import kendalltau

import nas
from nas.studies.proxy_study import proxy_study, proxy_verdict, sample_networks
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
    tau = f"your 2-epoch proxy ranks at tau {last['kendall']:.2f}"
    assert study.verdict == f"{tau} (4 networks, too few for an interval)"
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


def test_equal_accuracies_tell_nothing_of_a_proxy() -> None:
    proxy = pd.DataFrame({9: [0.1, 0.2, 0.3, 0.4]}).rename_axis(columns="epoch")
    same = rank_agreement(proxy, pd.Series([0.5] * 4)).iloc[-1]
    assert proxy_verdict(same) == (
        "your 9-epoch proxy cannot be judged: of 4 networks all have the same accuracy, "
        "in the search or in full"
    )
