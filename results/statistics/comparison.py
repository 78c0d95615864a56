"""Two populations of networks against each other: which is better, by how much, and could it be chance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from results.columns import Array
from results.objectives import check_direction
from results.statistics.populations import EDF, BestOf, Quantile, resample, sample_of

BUDGETS_APART = 0.05
"""Relative difference of the median budgets from which on populations are not called equally costly."""


@dataclass(frozen=True)
class Comparison:
    """What came of comparing two populations.

    ``summary``: per population its size, quantiles and best-of-n with intervals; ``edf``: the error
    distributions; ``tests``: a row per test, with ``statistic`` and ``p``; ``effect``: the chance that a
    network of the first population beats one of the second (ties half), and the difference of the medians,
    with intervals; ``verdict`` in words.
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

    Tests: Mann-Whitney (shifted?), Kolmogorov-Smirnov (any difference?) and a permutation test of the
    medians. ``budget`` names the cost at which they are compared; the verdict says so if its medians differ.
    Raises ``ValueError`` unless there are two populations with at least two finished networks each.
    """
    if len(populations) != 2:
        raise ValueError(f"two populations are needed, not {len(populations)}")
    check_direction(direction)
    values = {name: _sample(name, df, metric) for name, df in populations.items()}
    first, second = values.values()
    tests = _tests(first, second, seed)
    effect = _effect(first, second, direction, level, seed)
    p = float(tests["p"].iloc[0])
    verdict = _verdict(list(values), metric, direction, effect, p, level)
    return Comparison(
        summary=_summary(populations, metric, direction, best_of, level, seed),
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
    if len(values) < 2:
        raise ValueError(
            f"population {name}: one network with {metric} is too few to compare; 2 or more are needed"
        )
    return values


def _tests(first: Array, second: Array, seed: int) -> pd.DataFrame:
    def medians(a: Array, b: Array, axis: int) -> Any:
        return np.median(a, axis=axis) - np.median(b, axis=axis)

    permuted = stats.permutation_test(
        (first, second),
        medians,
        n_resamples=1999,
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    shifted = stats.mannwhitneyu(first, second)
    apart = stats.ks_2samp(first, second)
    rows = {
        "Mann-Whitney": shifted,
        "Kolmogorov-Smirnov": apart,
        "permutation of medians": permuted,
    }
    return pd.DataFrame(
        [
            {
                "test": name,
                "statistic": float(found.statistic),
                "p": float(found.pvalue),
            }
            for name, found in rows.items()
        ]
    )


def _effect(
    first: Array, second: Array, direction: str, level: float, seed: int
) -> pd.DataFrame:
    drawn = list(
        zip(resample(first, 1000, seed), resample(second, 1000, seed + 1), strict=True)
    )
    rows = []
    for name, measure in (
        ("superiority", _superiority(direction)),
        ("median difference", _median_difference),
    ):
        tail = (1 - level) / 2
        lower, upper = np.quantile([measure(a, b) for a, b in drawn], (tail, 1 - tail))
        rows.append(
            {
                "effect": name,
                "value": measure(first, second),
                "lower": lower,
                "upper": upper,
            }
        )
    return pd.DataFrame(rows)


def _superiority(direction: str) -> Any:
    def share(first: Array, second: Array) -> float:
        """P(a better than b) + P(equal) / 2, from the ranks (Vargha and Delaney's A)."""
        ranks = stats.rankdata(np.concatenate([first, second]))[: len(first)].sum()
        above = (ranks - len(first) * (len(first) + 1) / 2) / (len(first) * len(second))
        return float(above if direction == "max" else 1 - above)

    return share


def _median_difference(first: Array, second: Array) -> float:
    return float(np.median(first) - np.median(second))


def _summary(
    populations: Mapping[str, pd.DataFrame],
    metric: str,
    direction: str,
    best_of: int,
    level: float,
    seed: int,
) -> pd.DataFrame:
    tables = {}
    for name, df in populations.items():
        quantiles = Quantile(metric, level=level, seed=seed)(df)
        best = BestOf(metric, (1, best_of), direction, level, seed=seed)(df)
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
    direction: str,
    effect: pd.DataFrame,
    p: float,
    level: float,
) -> str:
    chance, difference = effect.to_dict("records")
    better = names[0] if chance["value"] >= 0.5 else names[1]
    share = max(chance["value"], 1 - chance["value"])
    numbers = (
        f"Mann-Whitney p = {p:.2g}; median of {names[0]} less median of {names[1]}: {difference['value']:+.4g}, "
        f"{level:.0%} interval {difference['lower']:+.4g} to {difference['upper']:+.4g}"
    )
    if p >= 1 - level:
        return f"No difference in {metric} shown between {names[0]} and {names[1]} ({numbers})."
    size = next(
        word
        for word, least in (("large", 0.71), ("medium", 0.64), ("small", 0.0))
        if share >= least
    )
    return (
        f"{better} is better in {metric}: one of its networks beats one of the other's {share:.0%} of the time, "
        f"a {size} effect ({numbers})."
    )


def _budgets(populations: Mapping[str, pd.DataFrame], budget: str) -> str:
    (a, first), (b, second) = (
        (name, float(np.median(sample_of(df, budget))))
        for name, df in populations.items()
    )
    said = f"median {budget} {first:.4g} in {a}, {second:.4g} in {b}"
    if abs(first - second) > BUDGETS_APART * max(abs(first), abs(second)):
        return f" Not at equal budget: {said}."
    return f" At equal budget: {said}."
