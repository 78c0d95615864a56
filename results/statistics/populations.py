"""Populations of networks as the unit of study: error distributions and bootstrap intervals (RegNet's method).

Each is a small value that takes a DataFrame and gives one. Radosavovic et al., 2019 (1905.13214) and 2020
(2003.13678).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from results.columns import Array, final, numbers
from results.objectives import check_direction


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

    def __call__(self, df: pd.DataFrame) -> pd.DataFrame:
        values = sample_of(df, self.metric)
        errors = np.sort(1 - values if self.metric == "accuracy" else values)
        share = np.arange(1, len(errors) + 1) / len(errors)
        width = np.sqrt(np.log(2 / (1 - self.level)) / (2 * len(errors)))
        band = {
            "lower": np.clip(share - width, 0, 1),
            "upper": np.clip(share + width, 0, 1),
        }
        return pd.DataFrame({"error": errors, "share": share, **band})


@dataclass(frozen=True)
class Quantile:
    """Quantiles of a metric with bootstrap intervals.

    Columns ``quantile``, ``value``, ``lower``, ``upper``, ``networks``; a row per quantile. Seeded: the same
    each time.
    """

    metric: str = "accuracy"
    quantiles: tuple[float, ...] = (0.25, 0.5, 0.75)
    level: float = 0.95
    samples: int = 2000
    seed: int = 0

    def __call__(self, df: pd.DataFrame) -> pd.DataFrame:
        values = sample_of(df, self.metric)
        drawn = np.quantile(
            resample(values, self.samples, self.seed), self.quantiles, axis=1
        )
        rows = {
            "quantile": self.quantiles,
            "value": np.quantile(values, self.quantiles),
        }
        return pd.DataFrame(
            rows | interval(drawn, self.level) | {"networks": len(values)}
        )


@dataclass(frozen=True)
class BestOf:
    """What the best of ``n`` random networks is worth on average, with a bootstrap interval.

    Columns ``n``, ``value``, ``lower``, ``upper``, ``networks``; a row per ``n``. The value is the exact mean
    over all draws of n with replacement from the population.
    """

    metric: str = "accuracy"
    n: tuple[int, ...] = (1, 10, 100)
    direction: str = "max"
    level: float = 0.95
    samples: int = 2000
    seed: int = 0

    def __call__(self, df: pd.DataFrame) -> pd.DataFrame:
        check_direction(self.direction)
        values = sample_of(df, self.metric)
        drawn = resample(values, self.samples, self.seed)
        weights = self._weights(len(values))
        rows = {"n": self.n, "value": weights @ np.sort(values)}
        ends = interval(weights @ np.sort(drawn, axis=1).T, self.level)
        return pd.DataFrame(rows | ends | {"networks": len(values)})

    def _weights(self, size: int) -> Array:
        """(n, size): the chance that the best of n draws is the i-th smallest of the population."""
        steps = np.linspace(0, 1, size + 1)
        rising = np.stack([np.diff(steps**n) for n in self.n])
        return rising if self.direction == "max" else rising[:, ::-1]


def resample(values: Array, samples: int, seed: int) -> Array:
    """Bootstrap samples, one per row."""
    return np.random.default_rng(seed).choice(values, (samples, len(values)))


def interval(drawn: Array, level: float) -> dict[str, Array]:
    """Percentile intervals over the last axis."""
    tail = (1 - level) / 2
    lower, upper = np.quantile(drawn, (tail, 1 - tail), axis=-1)
    return {"lower": lower, "upper": upper}
