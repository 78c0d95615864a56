"""Two populations of networks against each other: which is better, by how much, and could it be chance."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import scipy

from results.columns import Array
from results.objectives import check_direction
from results.parameters import check_count, check_share
from results.statistics.intervals import (
    UNKNOWN,
    median_difference_interval,
    superiority_interval,
)
from results.statistics.populations import EDF, BestOf, Quantile, sample_of

BUDGETS_APART = 0.05
"""Relative difference of the median budgets from which on populations are not called equally costly."""
WORTH_SAYING = 0.001
"""The least p that a test may reach is told from here on."""
SIZES = (("large", 0.71), ("medium", 0.64), ("small", 0.0))
"""Effects by their superiority (Vargha and Delaney, 2000)."""


@dataclass(frozen=True)
class Comparison:
    """What came of comparing two populations.

    ``summary``: per population its size, quantiles and best-of-n with intervals; ``edf``: the error
    distributions; ``tests``: a row per test, with ``statistic``, ``p``, and ``least_p``, which it would give if
    all the same values were parted the most; ``effect``: the shares of pairs in which a network of the first
    population wins, ties and loses against one of the second, the superiority (wins and half of the ties) and the
    difference of the medians, with intervals; ``verdict`` in words.
    """

    summary: pd.DataFrame
    edf: pd.DataFrame
    tests: pd.DataFrame
    effect: pd.DataFrame
    verdict: str


def compare(
    populations: Mapping[str, pd.DataFrame],
    metric: str = "accuracy",
    direction: str = "max",
    *,
    budget: str | None = None,
    best_of: int = 10,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare two populations, name -> trials table, by the distribution of a metric.

    Tests: Mann-Whitney (shifted? the verdict's), Kolmogorov-Smirnov (any difference?) and a permutation test of
    the medians. ``budget`` names the cost at which they are compared; the verdict says so if its medians differ.
    Raises ``ValueError`` unless there are two populations with at least two finished networks each.
    """
    if len(populations) != 2:
        raise ValueError(f"two populations are needed, not {len(populations)}")
    check_direction(direction)
    check_count("best_of", best_of)
    check_share("level", level)
    values = {name: _sample(name, df, metric) for name, df in populations.items()}
    first, second = values.values()
    tests = _tests(first, second, seed)
    effect = _effect(first, second, direction, level, seed)
    verdict = _verdict(list(values), metric, effect, tests.to_dict("records")[0], level)
    return Comparison(
        summary=_summary(populations, metric, direction, best_of, level),
        edf=_labelled(
            {name: EDF(metric, level)(df) for name, df in populations.items()}
        ),
        tests=tests,
        effect=effect,
        verdict=verdict + (_budgets(populations, budget) if budget else ""),
    )


def _sample(name: str, df: pd.DataFrame, metric: str) -> Array:
    try:
        values = sample_of(df, metric)
    except ValueError as error:
        raise ValueError(f"population {name}: {error}") from error
    if infinite := int(np.isinf(values).sum()):
        raise ValueError(
            f"population {name}: {metric} is infinite in {infinite} rows; leave them out, or count them as failed"
        )
    if len(values) < 2:
        raise ValueError(
            f"population {name}: one network with {metric} is too few to compare; 2 or more are needed"
        )
    return values


def _tests(first: Array, second: Array, seed: int) -> pd.DataFrame:
    tests = {
        "Mann-Whitney": scipy.stats.mannwhitneyu,
        "Kolmogorov-Smirnov": _any_difference,
        "permutation of medians": partial(_permutation_test, seed=seed),
    }
    # No split of these values into two such sizes is further apart than one of these.
    rising = np.sort(np.concatenate([first, second]))
    extremes = [np.split(values, [len(first)]) for values in (rising, rising[::-1])]
    rows = []
    for name, test in tests.items():
        found = test(first, second)
        least = min(float(test(*extreme).pvalue) for extreme in extremes)
        rows.append((name, float(found.statistic), float(found.pvalue), least))
    return pd.DataFrame(rows, columns=["test", "statistic", "p", "least_p"])


def _any_difference(first: Array, second: Array) -> Any:
    # SciPy warns where it falls back on the asymptotic p, which is near enough there.
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        return scipy.stats.ks_2samp(first, second)


def _permutation_test(first: Array, second: Array, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return scipy.stats.permutation_test(
        (first, second), _median_difference, n_resamples=1999, vectorized=True, rng=rng
    )


def _median_difference(first: Array, second: Array, axis: int = -1) -> Any:
    return np.median(first, axis=axis) - np.median(second, axis=axis)


def _effect(
    first: Array, second: Array, direction: str, level: float, seed: int
) -> pd.DataFrame:
    sign = 1.0 if direction == "max" else -1.0
    # (first, second): every network of one against every one of the other
    pairs = sign * (first[:, None] - second)
    # P(first better) + P(tie) / 2
    chance, ends = superiority_interval(sign * first, sign * second, level)
    effects = {
        "wins": (np.mean(pairs > 0), UNKNOWN),
        "ties": (np.mean(pairs == 0), UNKNOWN),
        "losses": (np.mean(pairs < 0), UNKNOWN),
        "superiority": (chance, ends),
        "median difference": (
            float(_median_difference(first, second)),
            median_difference_interval(first, second, level, seed),
        ),
    }
    rows = [
        {"effect": name, "value": float(value), "lower": lower, "upper": upper}
        for name, (value, (lower, upper)) in effects.items()
    ]
    return pd.DataFrame(rows)


def _summary(
    populations: Mapping[str, pd.DataFrame],
    metric: str,
    direction: str,
    best_of: int,
    level: float,
) -> pd.DataFrame:
    tables = {}
    for name, df in populations.items():
        quantiles = Quantile(metric, level=level)(df)
        best = BestOf(metric, (1, best_of), direction, level)(df)
        quantiles.insert(
            0, "what", [f"quantile {share:g}" for share in quantiles.pop("quantile")]
        )
        best.insert(0, "what", ["mean", f"best of {best_of}"])
        best = best.drop(columns="n")
        tables[name] = pd.concat([quantiles, best], ignore_index=True)
    return _labelled(tables)


def _labelled(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(
        [table.assign(population=name) for name, table in tables.items()],
        ignore_index=True,
    )


def _verdict(
    names: list[str],
    metric: str,
    effect: pd.DataFrame,
    test: Mapping[Any, Any],
    level: float,
) -> str:
    share = dict(zip(effect["effect"], effect["value"].tolist(), strict=True))
    chance = share["superiority"]
    better, worse = names if chance >= 0.5 else names[::-1]
    # The shares are of the first population; the sentence is about the better one.
    won, lost = sorted((share["wins"], share["losses"]), reverse=True)
    pairs = (
        f"a network of {better} wins against one of {worse} in {won:.0%} of the pairs, "
        f"ties in {share['ties']:.0%}, loses in {lost:.0%}"
    )
    difference = effect.to_dict("records")[-1]
    numbers = f"{_p_value(test, level)}; {_difference(names, difference, level)}"
    if test["p"] >= 1 - level:
        shown = f"No difference in {metric} shown between {names[0]} and {names[1]}"
        return f"{shown}: {pairs} ({numbers})."
    size = next(word for word, least in SIZES if max(chance, 1 - chance) >= least)
    return f"{better} is better in {metric}, a {size} effect: {pairs} ({numbers})."


def _p_value(test: Mapping[Any, Any], level: float) -> str:
    said = f"{test['test']} p = {test['p']:.2g}"
    if test["least_p"] < WORTH_SAYING:
        return said
    said += f", for so few networks or so many ties at least {test['least_p']:.2g}"
    # even populations that do not overlap would not reach significance
    hopeless = test["least_p"] >= 1 - level
    return said + (": none can be shown at this size" if hopeless else "")


def _difference(names: list[str], effect: Mapping[Any, Any], level: float) -> str:
    said = f"median of {names[0]} less median of {names[1]}: {effect['value']:+.4g}"
    if np.isnan(effect["lower"]):
        return f"{said}, too few networks for an interval"
    return (
        f"{said}, {level:.0%} interval {effect['lower']:+.4g} to {effect['upper']:+.4g}"
    )


def _budgets(populations: Mapping[str, pd.DataFrame], budget: str) -> str:
    (a, first), (b, second) = (
        (name, float(np.median(sample_of(df, budget))))
        for name, df in populations.items()
    )
    said = f"median {budget} {first:.4g} in {a}, {second:.4g} in {b}"
    larger = max(abs(first), abs(second))
    if abs(first - second) > BUDGETS_APART * larger:
        return f" Not at equal budget: {said}."
    return f" At equal budget: {said}."
