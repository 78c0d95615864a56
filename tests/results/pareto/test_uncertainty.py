import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from evaluators.latency.timing import median_error
from results import front_probability, pareto_front, repeat_spread

OBJECTIVES = {"accuracy": "max", "latency_ms": "min"}


def test_without_spread_it_is_the_front():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"accuracy": rng.random(200), "latency_ms": rng.random(200)},
        index=range(100, 300),
    )
    table.loc[100, "accuracy"] = np.nan
    before = table.copy(deep=True)
    probability = front_probability(table, OBJECTIVES, samples=3)
    assert (
        probability[probability == 1].index.tolist()
        == pareto_front(table, OBJECTIVES).index.tolist()
    )
    assert set(probability) == {0.0, 1.0}
    pd.testing.assert_frame_equal(table, before)


def test_two_rivals_share_as_the_normal_distribution_says():
    table = pd.DataFrame(
        {
            "accuracy": [0.90, 0.91],
            "latency_ms": [2.0, 2.0],
            "latency_iqr_ms": [0.0, 0.0],
        }
    )
    found = front_probability(table, OBJECTIVES, {"accuracy": 0.01}, samples=4000)
    beaten = norm.cdf(0.01 / (0.01 * np.sqrt(2)))
    assert found.tolist() == pytest.approx([1 - beaten, beaten], abs=0.03)


def test_latency_and_accuracy_have_spreads_of_their_own():
    table = pd.DataFrame(
        {
            "accuracy": [0.90, 0.91],
            "latency_ms": [2.0, 2.1],
            "latency_iqr_ms": [1.0, None],
        }
    )
    certain = front_probability(table.drop(columns="latency_iqr_ms"), OBJECTIVES)
    assert certain.tolist() == [1.0, 1.0]
    latency = front_probability(table, OBJECTIVES)
    error = np.sqrt(np.pi / 2 / 10) / 1.349
    assert latency[0] == pytest.approx(norm.cdf(0.1 / error), abs=0.05)
    logged = table.assign(latency_se_ms=[0.1, None])
    found = front_probability(logged, OBJECTIVES)
    assert found[0] == pytest.approx(norm.cdf(0.1 / 0.1), abs=0.05)
    both = front_probability(table, OBJECTIVES, validation_images=100)
    assert latency[0] < 1
    assert both[1] < latency[1]
    pd.testing.assert_series_equal(
        both, front_probability(table, OBJECTIVES, validation_images=100)
    )


def test_standard_errors_in_the_table_are_the_spreads():
    table = pd.DataFrame({"accuracy": [0.90, 0.91], "latency_ms": [2.0, 2.0]})
    told = front_probability(table.assign(accuracy_se=0.02), OBJECTIVES)
    given = front_probability(table, OBJECTIVES, {"accuracy": 0.02})
    assert told.tolist() == given.tolist()
    assert told[0] == pytest.approx(norm.cdf(-0.01 / 0.02 / 2**0.5), abs=0.05)


def test_rows_that_noise_cannot_bring_to_the_front_change_nothing():
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"accuracy": rng.random(300), "latency_ms": rng.random(300)})
    exact = front_probability(
        table, OBJECTIVES, dict.fromkeys(OBJECTIVES, 0.02), samples=800
    )
    costs = table.to_numpy() * [-1, 1]
    count = np.zeros(300)
    for _ in range(800):
        noisy = pd.DataFrame(
            costs + 0.02 * rng.standard_normal(costs.shape), columns=["a", "b"]
        )
        count[pareto_front(noisy, {"a": "min", "b": "min"}).index] += 1
    assert exact.to_numpy() == pytest.approx(count / 800, abs=0.08)


def test_bad_spreads_are_named():
    table = pd.DataFrame({"accuracy": [0.9], "latency_ms": [2.0]})
    with pytest.raises(ValueError, match="spread of flops: not among the objectives"):
        front_probability(table, OBJECTIVES, {"flops": 1.0})
    with pytest.raises(
        ValueError, match="spread of accuracy: -1 is no standard deviation"
    ):
        front_probability(table, OBJECTIVES, {"accuracy": -1.0})
    with pytest.raises(ValueError, match="inf is no standard deviation"):
        front_probability(table, OBJECTIVES, {"latency_ms": np.inf})
    with pytest.raises(ValueError, match="not in per cent"):
        front_probability(table.assign(accuracy=90, accuracy_se=0.003), OBJECTIVES)
    with pytest.raises(ValueError, match=r"-0\.1 is no standard deviation"):
        front_probability(table.assign(accuracy_se=-0.1), OBJECTIVES)


def test_the_spread_of_repetitions_is_pooled():
    repeats = pd.DataFrame(
        {"trial": [1, 1, 2, 2, 3], "top1": [0.8, 0.9, 0.5, 0.5, 0.1]}
    )
    assert repeat_spread(repeats, "top1") == pytest.approx(np.sqrt(0.005 / 2))
    with pytest.raises(ValueError, match="no trial has top1 twice"):
        repeat_spread(repeats.tail(1), "top1")


def test_a_perfect_accuracy_has_an_error_too_and_wrong_units_are_refused():
    table = pd.DataFrame({"accuracy": [1.0, 0.99], "latency_ms": [2.0, 2.0]})
    found = front_probability(table, OBJECTIVES, validation_images=100)
    assert 0.1 < found[1] < 0.5
    with pytest.raises(ValueError, match="as a fraction from 0 to 1"):
        front_probability(
            table.assign(accuracy=[99.0, 98.0]), OBJECTIVES, validation_images=100
        )
    with pytest.raises(
        ValueError, match="spread of latency_ms: it is on another index"
    ):
        front_probability(
            table, OBJECTIVES, {"latency_ms": pd.Series([1.0, 1.0], index=[7, 8])}
        )


def test_the_probability_is_how_often_it_is_true():
    """Pairs of networks of equal accuracy, each timed a hundred times with a wide spread: which is faster?"""
    rng = np.random.default_rng(0)
    said, truth = [], []
    for _ in range(150):
        real = rng.normal(10, 0.3, 2)
        samples = real[:, None] + rng.normal(0, 2, (2, 100))
        low, median, high = np.percentile(samples, (25, 50, 75), axis=1)
        table = pd.DataFrame(
            {"accuracy": 0.9, "latency_ms": median, "latency_iqr_ms": high - low}
        )
        table["latency_se_ms"] = [median_error(row.tolist()) for row in samples]
        said += front_probability(table, OBJECTIVES, samples=200).tolist()
        truth += [real[0] < real[1], real[1] < real[0]]
    said, truth = np.array(said), np.array(truth)
    for low, high in ((0.5, 0.8), (0.8, 1.01)):
        group = (low <= said) & (said < high)
        assert group.sum() > 20
        assert truth[group].mean() == pytest.approx(said[group].mean(), abs=0.12)


def test_a_network_beaten_in_both_is_hardly_on_the_front():
    """However wide single repetitions scatter: the median of a hundred is known ten times as well."""
    table = pd.DataFrame(
        {
            "accuracy": [0.90, 0.92],
            "latency_ms": [10.5, 10.0],
            "latency_iqr_ms": [2.0, 2.0],
            "latency_se_ms": [0.15, 0.15],
            "accuracy_se": [0.003, 0.003],
        }
    )
    assert front_probability(table, OBJECTIVES)[0] < 0.02
    assert front_probability(table, OBJECTIVES)[1] == 1
