import numpy as np
import pandas as pd
import pytest

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
    wider = Quantile(quantiles=(0.5, 0.9))(table.head(12))
    assert (wider["upper"] - wider["lower"] > found["upper"] - found["lower"]).all()
    pd.testing.assert_frame_equal(found, Quantile(quantiles=(0.5, 0.9))(table))


def test_the_best_of_n_is_the_mean_over_all_draws():
    table = pd.DataFrame({"accuracy": [0.1, 0.5, 0.9]})
    found = BestOf(n=(1, 2))(table)
    pairs = [max(a, b) for a in table["accuracy"] for b in table["accuracy"]]
    assert found["value"].tolist() == pytest.approx([0.5, np.mean(pairs)])
    lowest = BestOf(n=(2,), direction="min")(table)
    assert lowest["value"].tolist() == pytest.approx([1 - np.mean(pairs)])


def test_a_better_space_is_called_better_and_equal_ones_are_not():
    better = compare(
        {"wide": population(0.70), "narrow": population(0.72, seed=1)}, budget="macs"
    )
    assert better.verdict.startswith(
        "narrow is better in accuracy: one of its networks beats"
    )
    assert "a large effect" in better.verdict
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
    with pytest.raises(ValueError, match=r"knob arch\.width is no column"):
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
