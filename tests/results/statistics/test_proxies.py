"""Rankings of simulated trainings, whose signal and noise are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from results.statistics.proxies import compare_rankings, partial_tau

NETWORKS = 60


def trainings(
    noise: dict[str, float], seed: int = 0, share: float = 0.5
) -> pd.DataFrame:
    """Accuracies that are half the MACs' and half the network's own, plus each proxy's noise."""
    rng = np.random.default_rng(seed)
    macs, own = rng.normal(size=(2, NETWORKS))
    worth = share * macs + (1 - share) * own
    rows = [
        pd.DataFrame(
            {
                "proxy": name,
                "arch_id": [f"n{number}" for number in range(NETWORKS)],
                "seed": again,
                "accuracy": worth + deviation * rng.normal(size=NETWORKS),
                "macs": macs,
                "seconds": 10.0,
            }
        )
        for name, deviation in noise.items()
        for again in range(2)
    ]
    return pd.concat(rows)


def test_the_quieter_proxy_comes_first_and_the_truth_last() -> None:
    told = compare_rankings(
        trainings({"loud": 1.0, "truth": 0.05, "quiet": 0.2}), "truth"
    )
    assert told["proxy"].tolist() == ["quiet", "loud", "truth"]
    assert told["noise"].tolist() == pytest.approx([0.2, 1.0, 0.05], rel=0.3)
    assert told["signal"].tolist() == pytest.approx([0.5**0.5] * 3, rel=0.4)
    quiet = told.iloc[0]
    assert quiet["with_truth_lower"] < quiet["with_truth"] < quiet["with_truth_upper"]
    assert quiet["beyond_macs"] < quiet["with_truth"]


def test_agrees_with_itself_as_kendall_says() -> None:
    rows = trainings({"one": 0.5, "truth": 0.1})
    values = rows[rows["proxy"] == "one"].pivot(
        index="arch_id", columns="seed", values="accuracy"
    )
    told = compare_rankings(rows, "truth").set_index("proxy")
    assert told.loc["one", "with_itself"] == kendalltau(values[0], values[1]).statistic


def test_what_the_macs_foretell_counts_for_nothing_beyond_them() -> None:
    rng = np.random.default_rng(1)
    macs = rng.normal(size=2000)
    proxy, truth = (macs + rng.normal(size=2000) for _ in range(2))
    assert kendalltau(proxy, truth).statistic > 0.3
    # Kendall's partial tau is not exactly 0 there, but small
    assert abs(partial_tau(proxy, truth, macs)) < 0.15
    assert partial_tau(truth, truth + 0.1 * proxy, macs) > 0.8


def test_unfinished_trainings_leave_out_what_they_cannot_tell() -> None:
    rows = trainings({"half": 0.2, "truth": 0.1})
    once = rows[(rows["proxy"] == "truth") | (rows["seed"] == 0)]
    told = compare_rankings(once, "truth").set_index("proxy")
    assert np.isnan(told.loc["half", ["with_itself", "noise"]].astype(float)).all()
    assert told.loc["half", "with_truth"] > 0.5


def test_regret_is_what_the_four_that_look_best_leave_behind() -> None:
    # the truth ranks 0 to 9; seed 0 of the proxy turns that round, seed 1 repeats it
    rows = pd.DataFrame(
        {"proxy": name, "arch_id": f"n{n}", "seed": seed, "accuracy": accuracy}
        for n in range(10)
        for name, seed, accuracy in (
            ("truth", 0, n / 10),
            ("proxy", 0, -n),
            ("proxy", 1, n),
        )
    ).assign(macs=1.0, seconds=1.0)
    told = compare_rankings(rows, "truth").set_index("proxy")
    # n3 is the best of the four that seed 0 ranks highest
    assert told.loc["proxy", "regret"] == pytest.approx(np.mean([0.9 - 0.3, 0.0]))
    few = rows[rows["arch_id"].isin(["n0", "n1", "n2", "n3"])]
    assert np.isnan(compare_rankings(few, "truth")["regret"]).all()
