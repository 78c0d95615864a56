"""How sure the order of full trainings is, and which networks need another seed to tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results import front_probability, repeat_spread
from results.objectives import Directions, Objectives

ACCURACY = "accuracy"
CLOSE = 1.64
"""Standard errors of a difference below which its sign is no matter of course (90 % of a normal distribution)."""
LEAST_REPEATS = 3
"""Repeated trainings from which on their own spread is taken, not the error of the validation images."""


def standard_errors(
    networks: pd.DataFrame, trials: pd.DataFrame, validation_images: int
) -> pd.Series[float]:
    """Of each network's mean accuracy, on the index of ``networks``.

    Of one training it is the spread between seeds, pooled over networks; before enough was repeated, the binomial
    error of the validation images (Agresti and Coull), which is larger than what seeds alone would give.
    """
    done = trials[trials["status"] == "complete"]
    counts = networks["seeds"].astype(float)
    if len(done) - done["arch_id"].nunique() >= LEAST_REPEATS:
        # pooled: two or three seeds of one network tell too little of its own spread
        one = pd.Series(repeat_spread(done, ACCURACY, by="arch_id"), networks.index)
    else:
        share = (networks[ACCURACY] * validation_images + 2) / (validation_images + 4)
        variance = share * (1 - share) / (validation_images + 4)
        one = np.sqrt(variance)
    # of a mean over so many seeds
    return one / np.sqrt(counts)


def front_chances(
    networks: pd.DataFrame, objectives: Directions, errors: pd.Series[float]
) -> pd.Series[float]:
    """The probability of each network to be on the front, costs being taken as they are."""
    spreads = dict.fromkeys(objectives, 0.0) | {ACCURACY: errors}
    return front_probability(
        networks, objectives, {name: spreads[name] for name in objectives}
    )


def too_close(
    networks: pd.DataFrame, objectives: Directions, errors: pd.Series[float]
) -> list[str]:
    """Ids of networks of which one might take another off the front, and accuracy does not clearly say so.

    That is so for two where one is no worse in all other objectives and their accuracies differ by less than
    1.64 standard errors of the difference. Where accuracy is no objective nothing is close.
    """
    if ACCURACY not in objectives or len(networks) < 2:
        return []
    accuracy = networks[ACCURACY].to_numpy(float)
    error = errors.to_numpy(float)
    off = np.abs(accuracy[:, None] - accuracy)
    # the error of a difference of two independent means
    close = off < CLOSE * np.hypot(error[:, None], error)
    pairs = close & (no_dearer := _no_dearer(networks, objectives)) | (
        close & no_dearer.T
    )
    np.fill_diagonal(pairs, False)
    some_pair = pairs.any(axis=1)
    return [str(name) for name in networks["arch_id"][some_pair]]


def _no_dearer(networks: pd.DataFrame, objectives: Directions) -> NDArray[np.bool_]:
    """Entry (i, j): i is no worse than j in every objective but accuracy."""
    others = {name: way for name, way in objectives.items() if name != ACCURACY}
    if not others:
        return np.ones((len(networks), len(networks)), dtype=bool)
    costs = Objectives.of(others).points(networks)
    no_worse = costs[:, None] <= costs
    return np.asarray(no_worse.all(axis=2))
