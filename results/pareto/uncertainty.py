"""Fronts of measured numbers: how likely a row is on the front, given how far its numbers may be off."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.columns import Array, check_column, numbers
from results.metrics import error_column
from results.objectives import Directions, Objectives
from results.parameters import check_count

IQR_PER_SIGMA = 1.349
"""The interquartile range of a normal distribution, in standard deviations."""
REPETITIONS = 10
"""The fewest of a measured latency, unless a user asked for fewer."""
NO_RIVAL = 6.0
"""Standard deviations beyond which a row is taken to be no rival: 1e-9 of a normal distribution."""

Spread: TypeAlias = "float | str | pd.Series[Any]"


def front_probability(
    df: pd.DataFrame,
    objectives: Directions,
    spread: Mapping[str, Spread] | None = None,
    *,
    validation_images: int | None = None,
    samples: int = 1000,
    rng: np.random.Generator | None = None,
) -> "pd.Series[Any]":
    """The probability of each row to be on the Pareto front; 0 where an objective is missing.

    ``samples`` times, normal noise is added to every row and the front is taken. ``spread`` gives the noise's
    standard deviation per objective: a number, a column, or a Series on ``df``'s index. An objective not given
    there has the standard error that was logged with it (``accuracy_se``, ``validation_loss_se``,
    ``latency_se_ms``). For rows without one:

    - ``accuracy``, given ``validation_images``: by Agresti and Coull (1998), so that 0 and 1 have an error too;
    - ``latency_ms``, given ``latency_iqr_ms``: of the median of ten normal repetitions, the fewest by default, so
      rather too wide;
    - else, and where a given spread is missing: none, the number is taken as exact.

    Raises ``ValueError`` for a spread of what is no objective, that is negative, infinite or on another index, and
    for accuracies that are no fractions where their error is one.
    """
    check_count("samples", samples)
    if validation_images is not None:
        check_count("validation_images", validation_images)
    points = Objectives.of(objectives).points(df)
    known = np.flatnonzero(~np.isnan(points).any(axis=1))
    sigma = _sigmas(df, objectives, spread or {}, validation_images)[known]
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
    check_column(repeats, by, "by")
    values = pd.Series(numbers(repeats, metric), index=repeats.index).dropna()
    groups = values.groupby(repeats[by].loc[values.index])
    freedom = len(values) - groups.ngroups
    if freedom < 1:
        raise ValueError(
            f"no {by} has {metric} twice: its spread over repetitions is not known"
        )
    # every network has a mean of its own, which takes one degree of freedom
    away = values - groups.transform("mean")
    variance = (away**2).sum() / freedom
    return float(np.sqrt(variance))


def _sigmas(
    df: pd.DataFrame,
    objectives: Directions,
    spread: Mapping[str, Spread],
    images: int | None,
) -> Array:
    for name in spread:
        if name not in objectives:
            raise ValueError(
                f"spread of {name}: not among the objectives {', '.join(objectives)}"
            )
    columns = [
        _given(df, name, spread[name]) if name in spread else _logged(df, name, images)
        for name in objectives
    ]
    # What has no known error is taken as exact.
    return np.nan_to_num(np.stack(columns, axis=1))


def _given(df: pd.DataFrame, name: str, spread: Spread) -> Array:
    """The user's own standard deviations (rows,)."""
    if isinstance(spread, str):
        return _checked(name, numbers(df, spread))
    if not isinstance(spread, pd.Series):
        return _checked(name, np.full(len(df), float(spread)))
    if not df.index.isin(spread.index).all():
        raise ValueError(f"spread of {name}: it is on another index than the table")
    of_rows = spread.reindex(df.index)
    wide = of_rows.to_numpy(dtype=float, na_value=np.nan)
    return _checked(name, wide)


def _checked(name: str, sigma: Array) -> Array:
    wrong = sigma[(sigma < 0) | np.isinf(sigma)]
    if len(wrong):
        raise ValueError(f"spread of {name}: {wrong[0]:g} is no standard deviation")
    return sigma


def known_error(
    df: pd.DataFrame, metric: str, validation_images: int | None = None
) -> "pd.Series[float]":
    """The standard error of each row that ``front_probability`` goes by where it is given none; NaN where unknown.

    Raises ``ValueError`` for accuracies that are no fractions.
    """
    return pd.Series(_logged(df, metric, validation_images), index=df.index)


def _logged(df: pd.DataFrame, name: str, images: int | None) -> Array:
    """The standard errors (rows,) that were logged, and a guess where that is possible; NaN where not."""
    sigma = np.full(len(df), np.nan)
    column = error_column(name)
    if column in df.columns:
        sigma = _checked(name, numbers(df, column))
        if name == "accuracy":
            _fractions(df)
    guess = sigma
    if name == "accuracy" and images:
        guess = _accuracy_error(df, images)
    elif name == "latency_ms" and "latency_iqr_ms" in df.columns:
        deviation = numbers(df, "latency_iqr_ms") / IQR_PER_SIGMA
        # a median's error is sqrt(pi / 2) times the mean's, for normal values
        guess = np.sqrt(np.pi / 2 / REPETITIONS) * deviation
    return np.where(np.isnan(sigma), guess, sigma)


def _accuracy_error(df: pd.DataFrame, images: int) -> Array:
    """As if two more images had been right and two more wrong."""
    share = _fractions(df)
    centre = (share * images + 2) / (images + 4)
    variance = centre * (1 - centre) / (images + 4)
    return np.asarray(np.sqrt(variance))


def _fractions(df: pd.DataFrame) -> Array:
    """Accuracies that are of the kind of their error."""
    share = numbers(df, "accuracy")
    possible = (share >= 0) & (share <= 1)
    if not (np.isnan(share) | possible).all():
        raise ValueError(
            "accuracy is needed as a fraction from 0 to 1 for its error, not in per cent"
        )
    return share


def _rivals(costs: Array, sigma: Array) -> NDArray[np.intp]:
    """The rows that noise may bring to the front: not beaten at their best by another at its worst."""
    # Rows that noise cannot bring to the front would only cost time in every sample.
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
            # one world in which all numbers are off at once
            costs + sigma * rng.standard_normal(costs.shape),
            keep_weakly=True,
        )
    return count / samples
