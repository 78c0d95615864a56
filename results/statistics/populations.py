"""Populations of networks as the unit of study: error distributions, quantiles, the best of n (RegNet's method).

Each is a small value that takes a DataFrame and gives one. Radosavovic et al., 2019 (1905.13214) and 2020
(2003.13678).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import gammaln

from results.columns import Array, final, numbers
from results.objectives import check_direction
from results.parameters import check_count, check_each, check_share
from results.statistics.intervals import (
    UNKNOWN,
    Interval,
    jackknife_error,
    quantile_interval,
    t_interval,
)


def sample_of(df: pd.DataFrame, metric: str) -> Array:
    """The known final values of a metric, float64; ``ValueError`` if there is none."""
    values = numbers(df, metric)
    values = values[final(df) & ~np.isnan(values)]
    if not len(values):
        raise ValueError(f"no finished row has {metric}")
    return np.asarray(values)


@dataclass(frozen=True)
class EDF:
    """The share of networks with less than an error: the empirical distribution, with a confidence band.

    Columns ``error``, ``share``, ``lower``, ``upper``; a row per network, rising. The error is 1 - accuracy,
    for another ``metric`` the metric itself. The band holds for the whole curve at once (Dvoretzky, Kiefer,
    Wolfowitz; Massart, 1990).
    """

    metric: str = "accuracy"
    level: float = 0.95

    def __post_init__(self) -> None:
        check_share("level", self.level)

    def __call__(self, df: pd.DataFrame) -> pd.DataFrame:
        values = sample_of(df, self.metric)
        errors = np.sort(1 - values if self.metric == "accuracy" else values)
        count = len(errors)
        share = np.arange(1, count + 1) / count
        # The same width everywhere: a band for the whole curve, not for each point.
        variance = np.log(2 / (1 - self.level)) / (2 * len(errors))
        width = np.sqrt(variance)
        band = {
            "lower": np.clip(share - width, 0, 1),
            "upper": np.clip(share + width, 0, 1),
        }
        return pd.DataFrame({"error": errors, "share": share, **band})


@dataclass(frozen=True)
class Quantile:
    """Quantiles of a metric, with intervals between two of the networks (``quantile_interval``).

    Columns ``quantile``, ``value``, ``lower``, ``upper``, ``networks``; a row per quantile. The ends are NaN where
    there are too few networks for the quantile.
    """

    metric: str = "accuracy"
    quantiles: tuple[float, ...] = (0.25, 0.5, 0.75)
    level: float = 0.95

    def __post_init__(self) -> None:
        check_each("quantiles", self.quantiles, 0, 1)
        check_share("level", self.level)

    def __call__(self, df: pd.DataFrame) -> pd.DataFrame:
        values = sample_of(df, self.metric)
        ends = [
            quantile_interval(values, share, self.level) for share in self.quantiles
        ]
        found = np.quantile(values, self.quantiles)
        rows = {"quantile": self.quantiles, "value": found}
        return with_ends(rows, ends).assign(networks=len(values))


@dataclass(frozen=True)
class BestOf:
    """What the best of ``n`` random networks is worth on average.

    Columns ``n``, ``value``, ``lower``, ``upper``, ``networks``; a row per ``n``. The value is the mean over all
    choices of n of the networks, which is unbiased (Tang et al., 2020, 2004.13705); NaN for an ``n`` above their
    number. The ends are NaN above half of it.
    """

    metric: str = "accuracy"
    n: tuple[int, ...] = (1, 10, 100)
    direction: str = "max"
    level: float = 0.95

    def __post_init__(self) -> None:
        check_each("n", self.n, 1, math.inf)
        for n in self.n:
            check_count("n", n)
        check_direction(self.direction)
        check_share("level", self.level)

    def __call__(self, df: pd.DataFrame) -> pd.DataFrame:
        sign = 1.0 if self.direction == "max" else -1.0
        values = np.sort(sign * sample_of(df, self.metric))
        ends = [
            tuple(sorted(sign * end for end in self._interval(values, n)))
            for n in self.n
        ]
        found = [sign * _expected_best(values, n) for n in self.n]
        rows = {"n": self.n, "value": found}
        return with_ends(rows, ends).assign(networks=len(values))

    def _interval(self, values: Array, n: int) -> Interval:
        """Student's, with the jackknife's error.

        N networks make N / n groups of n that share none, and so know the spread of a best no better than N / n
        values would.
        """
        freedom = len(values) / n - 1
        if freedom < 1 or np.ptp(values) == 0:
            return UNKNOWN
        weights = _chances(len(values) - 1, n)
        # Without value j, those above it move down by one place.
        areas_below = np.cumsum(weights * values[:-1])
        areas_above = np.cumsum(weights * values[1:])
        lower = np.concatenate([[0.0], areas_below])
        upper = np.concatenate([[0.0], areas_above])
        error = jackknife_error(lower + upper[-1] - upper)
        return t_interval(_expected_best(values, n), error, freedom, self.level)


def _expected_best(ordered: Array, n: int) -> float:
    if not 1 <= n <= len(ordered):
        return math.nan
    return float(_chances(len(ordered), n) @ ordered)


def _chances(size: int, n: int) -> Array:
    """(size,): how likely the greatest of n different values is the i-th smallest of ``size``."""
    places = np.arange(size + 1)
    # The logarithm of binom(i, n) / binom(size, n), which as numbers would overflow; 0 of them below n.
    ways = gammaln(places + 1) - gammaln(places - n + 1)
    return np.diff(np.exp(ways - ways[-1]))


def with_ends(
    rows: Mapping[str, object], ends: Sequence[tuple[float, ...]]
) -> pd.DataFrame:
    """``rows`` as a table, with columns ``lower`` and ``upper``."""
    lower, upper = zip(*ends, strict=True) if ends else ((), ())
    return pd.DataFrame({**rows, "lower": lower, "upper": upper})
