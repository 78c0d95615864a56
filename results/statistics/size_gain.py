"""What a short training leaves unsaid of size: the accuracy that twice the parameters make up for."""

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.columns import Array
from results.parameters import check_share
from results.statistics.intervals import UNKNOWN, Interval
from results.statistics.rank_agreement import LEAST_FOR_INTERVAL

SAMPLES = 2000
DEGENERATE = 1e-10
"""Of the largest singular value: below it, a column is its mean but for rounding."""


def size_gain(
    accuracy: pd.DataFrame,
    truth: "pd.Series[Any]",
    params: "pd.Series[Any]",
    *,
    level: float = 0.95,
) -> tuple[float, Interval]:
    """The accuracy of short trainings that one doubling of the parameters makes up for, and its interval.

    ``accuracy`` has a row per network and a column per seed, ``truth`` the long training's accuracies. The least
    squares of ``truth`` on the accuracy and on log2 of ``params`` give two slopes; the gain is their ratio, its
    mean over the seeds, infinite where more accuracy means no more truth. The interval is between percentiles of
    networks drawn again and again; it is NaN below 10 networks, and all is NaN where the slopes are unknown.

    It is what helps to choose by the accuracy of one training. Noise makes that worth less, and size worth more:
    by accuracies free of noise, as the mean of many seeds is, the gain would be smaller.
    """
    check_share("level", level)
    sizes = params.rename("_size").map(math.log2)
    together = accuracy.join([truth.rename("_truth"), sizes], how="inner").dropna()
    target, size = (together.pop(name).to_numpy() for name in ("_truth", "_size"))
    values = together.to_numpy(float)
    everyone = np.arange(len(target))
    found = _gain(values, target, size, everyone)
    if len(target) < LEAST_FOR_INTERVAL or np.isnan(found):
        return found, UNKNOWN
    rng = np.random.default_rng(0)
    drawn = [
        _gain(values, target, size, rng.choice(everyone, len(everyone)))
        for _ in range(SAMPLES)
    ]
    ends = [(1 - level) / 2, (1 + level) / 2]
    # nearest: between an end and infinity there is nothing
    lower, upper = np.nanquantile(drawn, ends, method="nearest")
    return found, (float(lower), float(upper))


def _gain(values: Array, target: Array, size: Array, rows: NDArray[np.intp]) -> float:
    """Of the networks in ``rows``."""
    slopes = []
    for seed in values[rows].T:
        known = np.column_stack([seed, size[rows]])
        centred = known - known.mean(axis=0)
        found, _, rank, _ = np.linalg.lstsq(centred, target[rows], rcond=DEGENERATE)
        if rank < 2:
            return np.nan
        slopes.append(found[1] / found[0] if found[0] > 0 else np.inf)
    return float(np.mean(slopes))
