"""How well an early accuracy ranks networks as the final one does."""

import math
from typing import Any

import numpy as np
import pandas as pd
import scipy

from results.columns import Array
from results.parameters import check_share
from results.statistics.intervals import (
    UNKNOWN,
    Interval,
    jackknife_error,
    t_interval,
)

LEAST = 4
"""Networks that a rank correlation needs."""
LEAST_FOR_INTERVAL = 10
MEASURES = {"kendall": "kendalltau", "spearman": "spearmanr"}
"""Columns, and the functions of ``scipy.stats`` that they come from."""


def rank_agreement(
    proxy: pd.DataFrame, full: "pd.Series[Any]", *, level: float = 0.95
) -> pd.DataFrame:
    """Kendall's tau-b and Spearman's rho between each column of ``proxy`` and ``full``, network by network.

    A row per column, with ``…_lower`` and ``…_upper``: NaN below 10 networks, and all is NaN where one side has
    only equal values. The two are aligned on their index, rows with a missing value left out.

    Raises:
        ValueError: for fewer than 4 networks with all values.
    """
    check_share("level", level)
    # the same networks for all columns, or they would not compare
    together = proxy.join(full.rename("_full"), how="inner").dropna()
    if len(together) < LEAST:
        raise ValueError(
            f"{len(together)} networks with all values; a rank correlation needs {LEAST}"
        )
    target = together.pop("_full").to_numpy(float)
    # The columns' own name, such as "epoch", is that of the first column here.
    title = str(proxy.columns.name or "proxy")
    return pd.DataFrame(
        {title: name} | _agreement(together[name].to_numpy(float), target, level)
        for name in together
    )


def _agreement(values: Array, target: Array, level: float) -> dict[str, Any]:
    row: dict[str, Any] = {"networks": len(values)}
    for measure, function in MEASURES.items():
        correlate = getattr(scipy.stats, function)
        row[measure] = _correlation(correlate, values, target)
        lower, upper = _interval(correlate, values, target, level)
        row |= {f"{measure}_lower": lower, f"{measure}_upper": upper}
    return row


def _interval(correlate: Any, values: Array, target: Array, level: float) -> Interval:
    """Of Fisher's z (the correlation's inverse hyperbolic tangent), with the jackknife's error."""
    found = _correlation(correlate, values, target)
    count = len(values)
    if count < LEAST_FOR_INTERVAL or math.isnan(found):
        return UNKNOWN
    others = ~np.eye(count, dtype=bool)
    # each network left out once
    left_out = [_correlation(correlate, values[rest], target[rest]) for rest in others]
    # A perfect agreement has an infinite z: it is taken to be one pair short of it.
    most = 1 - 4 / (count * (count - 1))
    clipped = np.clip(found, -most, most)
    others_clipped = np.clip(left_out, -most, most)
    z = float(np.arctanh(clipped))
    error = jackknife_error(np.arctanh(others_clipped))
    # Near 1 few networks tell of no spread: not below tau's of normal values (Fieller et al., 1957).
    error = max(error, math.sqrt(0.437 / (count - 4)))
    lower, upper = np.tanh(t_interval(z, error, count - 2, level))
    return min(float(lower), found), max(float(upper), found)


def _correlation(correlate: Any, values: Array, target: Array) -> float:
    """NaN where all values tie."""
    if np.ptp(values) == 0 or np.ptp(target) == 0:
        return math.nan
    return float(correlate(values, target).statistic)
