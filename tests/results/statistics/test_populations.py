from itertools import combinations, product
from math import comb

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu

from results import EDF, BestOf, Quantile, Trend, compare, importance


def population(mean, count=120, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "accuracy": rng.normal(mean, 0.02, count),
            "macs": rng.uniform(390, 410, count),
        }
    )


def test_the_distribution_of_errors_by_hand():
    table = pd.DataFrame(
        {"accuracy": [0.9, 0.7, 0.8, 0.99], "status": ["complete"] * 3 + ["stopped"]}
    )
    edf = EDF()(table)
    assert edf["error"].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert edf["share"].tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert (edf["lower"] <= edf["share"]).all()
    assert EDF("latency_ms")(pd.DataFrame({"latency_ms": [2.0, 1.0]}))[
        "error"
    ].tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="no finished row has accuracy"):
        EDF()(table.tail(1))


def test_the_band_holds_the_truth_about_as_often_as_it_says():
    held = 0
    for seed in range(200):
        edf = EDF(level=0.9)(
            pd.DataFrame({"accuracy": np.random.default_rng(seed).random(50)})
        )
        held += (
            (edf["lower"] <= edf["error"]) & (edf["error"] <= edf["upper"] + 1 / 50)
        ).all()
    assert held >= 0.85 * 200


def test_quantiles_and_their_intervals():
    table = population(0.7)
    found = Quantile(quantiles=(0.5, 0.9))(table)
    assert (
        found["value"].tolist() == np.quantile(table["accuracy"], (0.5, 0.9)).tolist()
    )
    assert ((found["lower"] < found["value"]) & (found["value"] < found["upper"])).all()
    few = Quantile(quantiles=(0.5, 0.9))(table.head(12))
    assert few["upper"][0] - few["lower"][0] > found["upper"][0] - found["lower"][0]
    assert few.loc[1, ["lower", "upper"]].isna().all()


def test_the_best_of_n_is_the_mean_over_all_choices():
    table = pd.DataFrame({"accuracy": [0.1, 0.5, 0.9, 0.6, 0.2]})
    found = BestOf(n=(1, 2, 3, 6))(table)
    for n, value in zip((1, 2, 3), found["value"], strict=False):
        best = [max(chosen) for chosen in combinations(table["accuracy"], n)]
        assert value == pytest.approx(np.mean(best))
    assert found["value"].isna().tolist() == [False, False, False, True]
    assert found["lower"].isna().tolist() == [False, False, True, True]
    mirrored = BestOf(n=(1, 2, 3, 6), direction="min")(1 - table)
    assert (1 - mirrored["value"])[:3].tolist() == pytest.approx(found["value"][:3])
    assert (1 - mirrored["upper"])[:2].tolist() == pytest.approx(found["lower"][:2])


def test_the_best_of_many_does_not_overflow():
    values = np.random.default_rng(0).random(5000)
    [best] = BestOf(n=(500,))(pd.DataFrame({"accuracy": values}))["value"]
    assert best == pytest.approx(500 / 501, abs=5e-4)


def test_a_better_space_is_called_better_and_equal_ones_are_not():
    better = compare(
        {"wide": population(0.70), "narrow": population(0.72, seed=1)}, budget="macs"
    )
    assert better.verdict.startswith("narrow is better in accuracy, a large effect: ")
    assert "At equal budget" in better.verdict
    assert (better.tests["p"] < 0.01).all()
    effect = better.effect.set_index("effect")
    first, second = population(0.70)["accuracy"], population(0.72, seed=1)["accuracy"]
    wins = np.mean(first.to_numpy()[:, None] > second.to_numpy())
    assert effect.loc["superiority", "value"] == pytest.approx(wins)
    assert effect.loc["median difference", "value"] == pytest.approx(
        first.median() - second.median()
    )
    assert (
        set(better.summary["population"])
        == set(better.edf["population"])
        == {"wide", "narrow"}
    )
    same = compare({"a": population(0.7), "b": population(0.7, seed=2)})
    assert same.verdict.startswith("No difference in accuracy shown")
    assert "at least" not in same.verdict


def test_wins_ties_and_losses_are_told_apart():
    first = pd.DataFrame({"accuracy": [0.7] * 15 + [0.8] * 10})
    second = pd.DataFrame({"accuracy": [0.6] * 2 + [0.7] * 23})
    found = compare({"a": first, "b": second})
    share = found.effect.set_index("effect")["value"]
    pairs = list(product(first["accuracy"], second["accuracy"]))
    assert share["wins"] == pytest.approx(np.mean([x > y for x, y in pairs]))
    assert share["ties"] == pytest.approx(np.mean([x == y for x, y in pairs]))
    assert share["losses"] == pytest.approx(np.mean([x < y for x, y in pairs]))
    assert share["superiority"] == pytest.approx(share["wins"] + share["ties"] / 2)
    assert "wins against one of b in 45% of the pairs, ties in 55%" in found.verdict


def test_the_least_p_is_that_of_the_most_different_split():
    few = compare({"a": population(0.7, 3), "b": population(0.9, 3, seed=1)})
    assert few.tests["least_p"][0] == pytest.approx(2 / comb(6, 3))
    assert few.verdict.startswith("No difference in accuracy shown")
    assert "at least 0.1: none can be shown at this size" in few.verdict
    assert "too few networks for an interval" in few.verdict
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    splits = (
        mannwhitneyu(values[list(chosen)], np.delete(values, chosen)).pvalue
        for chosen in combinations(range(6), 2)
    )
    table = pd.DataFrame({"accuracy": values})
    found = compare({"a": table[2:4], "b": table.drop([2, 3])})
    assert found.tests["least_p"][0] == pytest.approx(min(splits))


def test_less_may_be_better_and_unequal_budgets_are_said():
    slow, fast = population(0.9), population(0.5, seed=1)
    found = compare({"slow": slow, "fast": fast}, direction="min")
    assert found.verdict.startswith("fast is better")
    costly = slow.assign(macs=slow["macs"] * 2)
    assert (
        "Not at equal budget"
        in compare({"a": costly, "b": fast}, budget="macs").verdict
    )


def test_what_cannot_be_compared_is_named():
    with pytest.raises(ValueError, match="two populations are needed, not 1"):
        compare({"a": population(0.7)})
    with pytest.raises(
        ValueError, match="population b: one network with accuracy is too few"
    ):
        compare({"a": population(0.7), "b": population(0.7, 1)})
    with pytest.raises(ValueError, match="population b: no finished row has accuracy"):
        compare({"a": population(0.7), "b": population(0.7, 0)})


@pytest.fixture
def searched():
    """Accuracy depends on the radix, a little on the stem, and not on the rest."""
    rng = np.random.default_rng(0)
    radix, stem = rng.integers(1, 5, 150), rng.choice(["deep", "plain"], 150)
    accuracy = 0.5 + 0.1 * radix + 0.03 * (stem == "deep") + rng.normal(0, 0.01, 150)
    knobs = {
        "arch.radix": pd.array(radix, dtype="Int64"),
        "arch.stem": pd.array(stem, dtype="string"),
    }
    knobs |= {"arch.noise": rng.random(150), "arch.constant": [1] * 150}
    return pd.DataFrame({"accuracy": accuracy, "status": "complete", **knobs})


def test_trends_follow_the_knob(searched):
    trend = Trend("arch.radix")(searched)
    assert trend["knob"].tolist() == [1, 2, 3, 4]
    assert trend["value"].is_monotonic_increasing
    means = searched.groupby("arch.radix")["accuracy"].mean()
    assert trend["value"].to_numpy() == pytest.approx(means.to_numpy())
    assert (
        (trend["lower"] <= trend["value"]) & (trend["value"] <= trend["upper"])
    ).all()
    assert len(Trend("arch.noise", bins=5)(searched)) == 5
    assert Trend("arch.stem")(searched)["knob"].tolist() == ["deep", "plain"]
    with pytest.raises(ValueError, match=r"knob: arch\.width is no column"):
        Trend("arch.width")(searched)


def test_knobs_that_matter_come_first(searched):
    before = searched.copy(deep=True)
    found = importance(searched, repeats=3)
    assert found["knob"].tolist()[:2] == ["arch.radix", "arch.stem"]
    assert found["importance"].iloc[0] > 1
    assert abs(found.set_index("knob").loc["arch.noise", "importance"]) < 0.02
    assert found.attrs["r2"] > 0.9
    pd.testing.assert_frame_equal(searched, before)
    with pytest.raises(
        ValueError, match="at least 10 finished networks with accuracy, there are 9"
    ):
        importance(searched.head(9))
    with pytest.raises(ValueError, match="no knob varies"):
        importance(searched, knobs=["arch.constant"])
