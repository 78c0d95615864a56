"""How well an early accuracy ranks networks as the final one does."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, spearmanr

from results.statistics.populations import interval

LEAST = 4
MEASURES = {"kendall": kendalltau, "spearman": spearmanr}


def rank_agreement(
    proxy: pd.DataFrame,
    full: "pd.Series[Any]",
    *,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Kendall's tau-b and Spearman's rho between each column of ``proxy`` and ``full``, network by network.

    A row per column, with percentile intervals over bootstrap samples of the networks; samples in which all
    networks tie are left out. The two are aligned on their index, rows with a missing value left out.

    Raises:
        ValueError: for fewer than 4 networks with all values.
    """
    together = proxy.join(full.rename("_full"), how="inner").dropna()
    if len(together) < LEAST:
        raise ValueError(
            f"{len(together)} networks with all values; a rank correlation needs {LEAST}"
        )
    draws = np.random.default_rng(seed).integers(
        len(together), size=(samples, len(together))
    )
    target = together.pop("_full").to_numpy(float)
    rows = []
    for name in together:
        values = together[name].to_numpy(float)
        row: dict[str, Any] = {
            str(proxy.columns.name or "proxy"): name,
            "networks": len(values),
        }
        for measure, function in MEASURES.items():
            row[measure] = _correlation(function, values, target)
            drawn = np.array(
                [_correlation(function, values[draw], target[draw]) for draw in draws]
            )
            ends = (
                interval(drawn[np.isfinite(drawn)], level)
                if np.isfinite(drawn).any()
                else {}
            )
            row |= {f"{measure}_{end}": float(value) for end, value in ends.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def _correlation(
    function: Any, values: np.ndarray[Any, Any], target: np.ndarray[Any, Any]
) -> float:
    """NaN where all values tie."""
    if np.ptp(values) == 0 or np.ptp(target) == 0:
        return float("nan")
    return float(function(values, target).statistic)
