"""Fronts of measured numbers: how likely a row is on the front, given how far its numbers may be off."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.columns import Array, numbers
from results.objectives import Objectives

IQR_PER_SIGMA = 1.349
"""The interquartile range of a normal distribution, in standard deviations."""
NO_RIVAL = 6.0
"""Standard deviations beyond which a row is taken to be no rival: 1e-9 of a normal distribution."""

Spread: TypeAlias = "float | str | pd.Series[Any]"


def front_probability(
    df: pd.DataFrame,
    objectives: Mapping[str, str],
    spread: Mapping[str, Spread] | None = None,
    *,
    validation_images: int | None = None,
    samples: int = 1000,
    rng: np.random.Generator | None = None,
) -> "pd.Series[Any]":
    """The probability of each row to be on the Pareto front; 0 where an objective is missing.

    ``samples`` times, normal noise is added to every row and the front is taken. ``spread`` gives the noise's
    standard deviation per objective: a number, a column, or a Series on ``df``'s index. Not given there, that
    of ``latency_ms`` is ``latency_iqr_ms / 1.349`` and, given ``validation_images``, that of ``accuracy`` is
    binomial, ``sqrt(p (1 - p) / n)``; objectives without a spread are taken as exact. Missing spreads count
    as 0.
    """
    points = Objectives.of(objectives).points(df)
    known = np.flatnonzero(~np.isnan(points).any(axis=1))
    sigma = _sigmas(df, objectives, dict(spread or {}), validation_images)[known]
    costs = points[known]
    probability = np.zeros(len(df))
    if len(known):
        rivals = _rivals(costs, sigma)
        probability[known[rivals]] = _share_on_front(
            costs[rivals],
            sigma[rivals],
            samples,
            np.random.default_rng(0) if rng is None else rng,
        )
    return pd.Series(probability, index=df.index, name="front_probability")


def repeat_spread(repeats: pd.DataFrame, metric: str, *, by: str = "trial") -> float:
    """The standard deviation of a metric over repetitions of the same network, pooled over networks.

    Raises ``ValueError`` if nothing was repeated.
    """
    values = pd.Series(numbers(repeats, metric), index=repeats.index).dropna()
    groups = values.groupby(repeats[by].loc[values.index])
    freedom = len(values) - groups.ngroups
    if freedom < 1:
        raise ValueError(
            f"no {by} has {metric} twice: its spread over repetitions is not known"
        )
    return float(np.sqrt(((values - groups.transform("mean")) ** 2).sum() / freedom))


def _sigmas(
    df: pd.DataFrame,
    objectives: Mapping[str, str],
    spread: dict[str, Spread],
    images: int | None,
) -> Array:
    for name in spread:
        if name not in objectives:
            raise ValueError(
                f"spread of {name}: not among the objectives {', '.join(objectives)}"
            )
    if "latency_ms" not in spread and "latency_iqr_ms" in df.columns:
        spread["latency_ms"] = df["latency_iqr_ms"] / IQR_PER_SIGMA
    if "accuracy" not in spread and images and "accuracy" in objectives:
        spread["accuracy"] = _accuracy_error(df, images)
    columns = []
    for name in objectives:
        given = spread.get(name, 0.0)
        values = df[given] if isinstance(given, str) else given
        if isinstance(values, pd.Series) and not df.index.isin(values.index).all():
            raise ValueError(f"spread of {name}: it is on another index than the table")
        wide = (
            values.reindex(df.index)
            if isinstance(values, pd.Series)
            else pd.Series(values, index=df.index)
        )
        columns.append(np.nan_to_num(wide.to_numpy(dtype=float, na_value=np.nan)))
        if (columns[-1] < 0).any():
            raise ValueError(f"spread of {name}: {columns[-1].min():g} is negative")
    return np.stack(columns, axis=1)


def _accuracy_error(df: pd.DataFrame, images: int) -> "pd.Series[float]":
    """The standard error of an accuracy by Agresti and Coull: two more images right, two more wrong."""
    share = numbers(df, "accuracy")
    if not (np.isnan(share) | ((share >= 0) & (share <= 1))).all():
        raise ValueError(
            "accuracy is needed as a fraction from 0 to 1 for its error, not in per cent"
        )
    centre = (share * images + 2) / (images + 4)
    return pd.Series(np.sqrt(centre * (1 - centre) / (images + 4)), index=df.index)


def _rivals(costs: Array, sigma: Array) -> NDArray[np.intp]:
    """The rows that noise may bring to the front: not beaten at their best by another at its worst."""
    worst = costs + NO_RIVAL * sigma
    bar = worst[moocore.is_nondominated(worst)]
    best = costs - NO_RIVAL * sigma
    beaten = np.zeros(len(costs), dtype=bool)
    for row in bar:
        beaten |= (row < best).all(axis=1)
    return np.flatnonzero(~beaten)


def _share_on_front(
    costs: Array, sigma: Array, samples: int, rng: np.random.Generator
) -> Array:
    count = np.zeros(len(costs))
    for _ in range(samples):
        count += moocore.is_nondominated(
            costs + sigma * rng.standard_normal(costs.shape), keep_weakly=True
        )
    return count / samples
