"""Intervals that hold as often as they say, of few networks too; unknown (NaN) where there are too few to tell.

The percentile bootstrap does not: of 20 networks, its "95 %" interval for the best of 10 holds in 64 % of the
cases. ``tests/results/statistics/test_intervals.py`` measures by simulation how often these hold.
"""

import math
from typing import TypeAlias

import numpy as np
import scipy

from results.columns import Array

Interval: TypeAlias = tuple[float, float]
UNKNOWN: Interval = (math.nan, math.nan)
LEAST_FOR_BOOTSTRAP = 5
BOOTSTRAPS = 1000


def t_interval(value: float, error: float, freedom: float, level: float) -> Interval:
    """Around a value with a standard error, known from ``freedom`` degrees of freedom."""
    quantile = float(scipy.stats.t.ppf((1 + level) / 2, freedom))
    half = error * quantile
    return value - half, value + half


def mean_interval(values: Array, level: float = 0.95) -> Interval:
    """Student's, for the mean; unknown for one value, and where all are equal: they tell of no spread."""
    if len(values) < 2 or np.ptp(values) == 0:
        return UNKNOWN
    error = float(scipy.stats.sem(values))
    mean = float(values.mean())
    return t_interval(mean, error, len(values) - 1, level)


def quantile_interval(values: Array, share: float, level: float = 0.95) -> Interval:
    """Between two of the values, for the quantile ``share``, whatever their distribution.

    Unknown where even the least and the greatest are too near: the median needs 6 values, the 90 % quantile 36
    (David and Nagaraja, 2003, "Order Statistics", section 7.1).
    """
    count = len(values)
    tail = (1 - level) / 2
    # How many of the values lie below the quantile is binomial, so each value's place has a known chance.
    below = int(scipy.stats.binom.ppf(tail, count, share))
    above = int(scipy.stats.binom.isf(tail, count, share)) + 1
    if below < 1 or above > count:
        return UNKNOWN
    ordered = np.sort(values)
    low = ordered[below - 1]
    high = ordered[above - 1]
    return float(low), float(high)


def jackknife_error(left_out: Array) -> float:
    """The standard error of an estimate, from its values with each observation left out once (Tukey, 1958)."""
    variance = (len(left_out) - 1) * float(np.var(left_out))
    return math.sqrt(variance)


def superiority_interval(
    first: Array, second: Array, level: float = 0.95
) -> tuple[float, Interval]:
    """The chance that a value of ``first`` is above one of ``second``, ties half, with an interval.

    By the variances of Brunner and Munzel (2000), on the logit scale, which keeps it inside 0 and 1.
    """
    # 1, 1/2 or 0 for each pair
    wins = (np.sign(first[:, None] - second) + 1) / 2
    variances = [
        np.var(wins.mean(axis=axis), ddof=1) / wins.shape[1 - axis] for axis in (0, 1)
    ]
    freedoms = [size - 1 for size in wins.shape[::-1]]
    chance = float(wins.mean())
    variance = float(sum(variances))
    if variance == 0:
        freedom = float(min(freedoms))
    else:  # Welch and Satterthwaite
        parts = zip(variances, freedoms, strict=True)
        freedom = variance**2 / sum(part**2 / free for part, free in parts)
    # Where one population wins every pair, the error is that of being half a pair away from it.
    inner = float(np.clip(chance, 0.5 / wins.size, 1 - 0.5 / wins.size))
    binomial = inner * (1 - inner)
    error = math.sqrt(max(variance, binomial / wins.size)) / binomial
    ends = t_interval(math.log(inner / (1 - inner)), error, freedom, level)
    lower, upper = (1 / (1 + math.exp(-min(max(end, -700.0), 700.0))) for end in ends)
    return chance, (min(lower, chance), max(upper, chance))


def median_difference_interval(
    first: Array, second: Array, level: float = 0.95, seed: int = 0
) -> Interval:
    """For the median of ``first`` less that of ``second``: percentiles of the bootstrap, which holds here.

    Unknown below 5 values on either side.
    """
    if min(len(first), len(second)) < LEAST_FOR_BOOTSTRAP:
        return UNKNOWN
    rng = np.random.default_rng(seed)
    medians = [
        np.median(rng.choice(values, (BOOTSTRAPS, len(values))), axis=1)
        for values in (first, second)
    ]
    tail = (1 - level) / 2
    differences = medians[0] - medians[1]
    lower, upper = np.quantile(differences, (tail, 1 - tail))
    return float(lower), float(upper)
