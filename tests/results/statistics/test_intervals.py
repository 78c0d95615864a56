"""How often an interval called 95 % holds the truth, over populations drawn again and again.

``pytest -s`` prints the shares beside those of the percentile bootstrap, which was used before.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from results import BestOf, Quantile, Trend
from results.statistics.intervals import (
    median_difference_interval,
    quantile_interval,
    superiority_interval,
)

REPEATS = 250
NORMAL = "normal"
LEFT = "a long lower tail, as accuracies have"


def draw(kind, size, rng):
    """Values whose mean is 0."""
    return rng.normal(size=size) if kind == NORMAL else 2 - rng.gamma(2, size=size)


def held(ends, truth):
    lower, upper = np.transpose(ends)
    assert not np.isnan(lower).any()
    return np.mean((lower <= truth) & (truth <= upper))


def bootstrapped(values, statistic, rng):
    drawn = rng.choice(values, (400, len(values)))
    return np.quantile(statistic(drawn), (0.025, 0.975))


def ends_of(table):
    return table["lower"][0], table["upper"][0]


def report(what, before, after):
    print(f"{what}: held {before:.0%} before, {after:.0%} now")


@pytest.mark.parametrize("kind", [NORMAL, LEFT])
@pytest.mark.parametrize(("networks", "n"), [(20, 10), (20, 5), (100, 10), (40, 1)])
def test_the_best_of_n(kind, networks, n):
    rng = np.random.default_rng(0)
    truth = draw(kind, (100_000, n), rng).max(axis=1).mean()
    before, after = [], []
    chances = np.diff(np.linspace(0, 1, networks + 1) ** n)
    for _ in range(REPEATS):
        values = draw(kind, networks, rng)
        after.append(ends_of(BestOf("x", (n,))(pd.DataFrame({"x": values}))))
        before.append(bootstrapped(values, lambda drawn: np.sort(drawn) @ chances, rng))
    report(
        f"best of {n} of {networks}, {kind}", held(before, truth), held(after, truth)
    )
    assert held(after, truth) >= 0.9


@pytest.mark.parametrize("networks", [2, 5, 20])
def test_means_of_few(networks):
    rng = np.random.default_rng(1)
    before, after = [], []
    for _ in range(REPEATS):
        values = rng.normal(size=networks)
        table = pd.DataFrame({"knob": 1, "x": values})
        after.append(ends_of(Trend("knob", "x")(table)))
        before.append(bootstrapped(values, lambda drawn: drawn.mean(axis=1), rng))
    report(f"mean of {networks}", held(before, 0), held(after, 0))
    assert 0.92 <= held(after, 0) <= 0.98


def test_one_network_and_equal_ones_tell_of_no_spread():
    table = pd.DataFrame({"knob": [1, 2, 2], "x": [0.5, 0.7, 0.7]})
    assert Trend("knob", "x")(table)[["lower", "upper"]].isna().all(axis=None)


@pytest.mark.parametrize(("networks", "share"), [(6, 0.5), (20, 0.25), (40, 0.9)])
def test_quantiles(networks, share):
    rng = np.random.default_rng(2)
    before, after = [], []
    for _ in range(REPEATS):
        values = rng.random(networks)
        found = Quantile("x", (share,))(pd.DataFrame({"x": values}))
        after.append(ends_of(found))
        before.append(
            bootstrapped(values, lambda drawn: np.quantile(drawn, share, axis=1), rng)
        )
    report(f"quantile {share} of {networks}", held(before, share), held(after, share))
    assert held(after, share) >= 0.93


@pytest.mark.parametrize(("share", "least"), [(0.5, 6), (0.9, 36), (0.75, 13)])
def test_networks_that_a_quantile_needs(share, least):
    """By the chance that all values lie on one side of it."""
    assert (
        max(share, 1 - share) ** least <= 0.025 < max(share, 1 - share) ** (least - 1)
    )
    enough, too_few = np.arange(least), np.arange(least - 1)
    assert not np.isnan(quantile_interval(enough, share)).any()
    assert np.isnan(quantile_interval(too_few, share)).all()


@pytest.mark.parametrize("shift", [0.0, 2.0])
@pytest.mark.parametrize("networks", [3, 12])
def test_superiority(shift, networks):
    rng = np.random.default_rng(3)
    truth = norm.cdf(shift / np.sqrt(2))
    before, after = [], []
    for _ in range(REPEATS):
        first, second = rng.normal(size=(2, networks))
        first += shift
        chance, interval = superiority_interval(first, second)
        assert chance == np.mean(np.greater.outer(first, second))
        after.append(interval)
        pairs = (
            rng.choice(first, (200, networks, 1)),
            rng.choice(second, (200, 1, networks)),
        )
        chances = np.greater(*pairs).mean(axis=(1, 2))
        before.append(np.quantile(chances, (0.025, 0.975)))
    what = f"superiority {truth:.2f} of {networks}"
    report(what, held(before, truth), held(after, truth))
    assert held(after, truth) >= 0.92


@pytest.mark.parametrize("networks", [5, 12])
def test_differences_of_medians(networks):
    rng = np.random.default_rng(5)
    samples = rng.normal(size=(REPEATS, 2, networks))
    ends = [median_difference_interval(*pair) for pair in samples]
    assert held(ends, 0) >= 0.92
    assert np.isnan(median_difference_interval(*samples[0, :, :4])).all()
