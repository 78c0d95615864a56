"""Slopes of simulated trainings, against what they were made with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from results.statistics.size_gain import size_gain

GAIN = 0.015


def trainings(
    seed: int = 0, networks: int = 24, noise: float = 0.003, blur: float = 0.0
) -> tuple[pd.DataFrame, pd.Series[float], pd.Series[float]]:
    """Two short trainings each, the truth, and the parameters."""
    rng = np.random.default_rng(seed)
    doublings = rng.uniform(16, 19, networks)
    short = rng.normal(0.58, 0.02, networks)
    truth = short + GAIN * doublings + rng.normal(0, noise, networks)
    accuracy = pd.DataFrame(dict.fromkeys(range(2), short))
    accuracy += rng.normal(0, blur, accuracy.shape)
    return accuracy, pd.Series(truth), pd.Series(2**doublings)


def test_without_noise_it_is_exact() -> None:
    found, (lower, upper) = size_gain(*trainings(noise=0))
    assert (found, lower, upper) == pytest.approx((GAIN, GAIN, GAIN))


def test_rows_need_not_be_in_order() -> None:
    accuracy, truth, params = trainings()
    shuffled = size_gain(accuracy, truth[::-1], params.sample(frac=1, random_state=0))
    assert shuffled == size_gain(accuracy, truth, params)


def test_the_interval_holds_the_gain_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(60):
        _, (lower, upper) = size_gain(*trainings(seed, noise=0.01))
        held += lower < GAIN < upper
    assert held >= 52  # of 60, 57 expected; fewer come once in a hundred


def test_noise_of_the_short_training_makes_size_count_for_more() -> None:
    exact, _ = size_gain(*trainings(networks=2000))
    blurred, _ = size_gain(*trainings(networks=2000, blur=0.02))
    assert exact == pytest.approx(GAIN, rel=0.1)
    # as much noise as signal halves the slope of the accuracy
    assert blurred == pytest.approx(2 * GAIN, rel=0.3)


def test_few_networks_have_no_interval() -> None:
    found, interval = size_gain(*trainings(networks=9))
    assert found == pytest.approx(GAIN, abs=0.01)
    assert np.isnan(interval).all()


def test_networks_of_one_size_tell_nothing() -> None:
    accuracy, truth, params = trainings()
    found, interval = size_gain(accuracy, truth, params * 0 + 1000)
    assert np.isnan([found, *interval]).all()


def test_a_training_that_says_nothing_makes_size_everything() -> None:
    accuracy, truth, params = trainings()
    found, (_, upper) = size_gain(-accuracy, truth, params)
    assert found == upper == np.inf
