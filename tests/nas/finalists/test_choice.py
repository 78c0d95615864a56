"""Who becomes a finalist, and when two of them are too close to call."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from nas.finalists.certainty import standard_errors, too_close
from nas.finalists.choose import different, spread
from results.runs.finalists import per_network

OBJECTIVES = {"accuracy": "max", "macs": "min"}


def networks(rng: np.random.Generator, count: int = 40) -> pd.DataFrame:
    macs = rng.integers(1, 100, count) * 1000
    return pd.DataFrame(
        {
            "trial": range(count),
            "arch_id": [f"{n:012x}" for n in range(count)],
            "macs": macs,
            "flops": 2 * macs,
            "params": rng.integers(1, 1000, count),
            "activations": 1,
            "accuracy": 0.5 + 0.4 * rng.random(count),
        }
    )


def test_networks_alike_in_all_costs_stand_once() -> None:
    table = networks(np.random.default_rng(0))
    twin = table.iloc[[3]].assign(trial=99, accuracy=0.99)
    kept = different(pd.concat([table, twin], ignore_index=True), OBJECTIVES, 1000)
    costs = ["macs", "flops", "params", "activations"]
    assert not kept.duplicated(costs).any()
    assert 99 in set(kept["trial"])
    assert 3 not in set(kept["trial"])


@pytest.mark.parametrize("count", [1, 4, 40])
def test_finalists_are_likely_and_spread(count: int) -> None:
    table = different(networks(np.random.default_rng(1)), OBJECTIVES, 1000)
    places = spread(table, OBJECTIVES, count)
    assert len(set(places)) == count
    best = table.iloc[places[0]]
    assert best["accuracy"] == table.loc[table["chance"] >= 0.5, "accuracy"].max()
    if count == 4:
        chosen = table.iloc[places]
        assert (chosen["chance"] > 0).all()
        macs = np.sort(chosen["macs"].to_numpy())
        assert np.diff(macs).min() > 0
        # along the front, not beside the best
        likely = table.loc[table["chance"] > 0.5, "macs"]
        assert np.ptp(macs) >= 0.9 * np.ptp(likely)


def test_without_a_chance_the_next_front_follows() -> None:
    table = pd.DataFrame(
        {"macs": [1, 2, 3], "accuracy": [0.9, 0.5, 0.4], "chance": [1.0, 0.0, 0.0]}
    )
    assert spread(table, OBJECTIVES, 3) == [0, 1, 2]


def test_with_one_objective_they_are_the_likeliest() -> None:
    """Near the best is where the best may be: no distance is asked for."""
    accuracies = [0.60, 0.55, 0.61, 0.605, 0.58]
    table = networks(np.random.default_rng(3), 5).assign(accuracy=accuracies)
    known = different(table, {"accuracy": "max"}, 1000)
    chosen = known.iloc[spread(known, {"accuracy": "max"}, 3)]
    assert chosen["accuracy"].tolist() == [0.61, 0.605, 0.60]


def test_too_close_by_brute_force() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        table = networks(rng, 6)
        table["accuracy"] = table["accuracy"].round(2)
        errors = pd.Series(rng.random(6) * 0.05, table.index)
        expected = set()
        rows = [*zip(table.to_dict("records"), errors, strict=True)]
        for i, (one, a) in enumerate(rows):
            for j, (other, b) in enumerate(rows):
                near = abs(one["accuracy"] - other["accuracy"]) < 1.64 * math.hypot(
                    a, b
                )
                if i != j and near and one["macs"] <= other["macs"]:
                    expected |= {one["arch_id"], other["arch_id"]}
        assert set(too_close(table, OBJECTIVES, errors)) == expected
    assert too_close(table, {"macs": "min"}, errors) == []


def test_the_error_is_that_of_images_then_that_of_seeds() -> None:
    rng = np.random.default_rng(3)
    trials = pd.DataFrame(
        {
            "trial": range(8),
            "arch_id": list("abcdabcd"),
            "status": "complete",
            "accuracy": 0.8 + 0.01 * rng.standard_normal(8),
            "top1": 0.8,
        }
    )
    once = per_network(trials.head(4))
    share = (once["accuracy"] * 100 + 2) / 104
    expected = np.sqrt(share * (1 - share) / 104)
    assert standard_errors(once, trials.head(4), 100).to_numpy() == pytest.approx(
        expected.to_numpy()
    )
    twice = per_network(trials)
    assert twice["seeds"].tolist() == [2] * 4
    pairs = trials["accuracy"].to_numpy().reshape(2, 4)
    assert twice["accuracy"].to_numpy() == pytest.approx(pairs.mean(axis=0))
    pooled = math.sqrt(np.mean(pairs.var(axis=0, ddof=1)))
    assert standard_errors(twice, trials, 100).to_numpy() == pytest.approx(
        pooled / math.sqrt(2)
    )
