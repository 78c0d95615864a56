"""How a metric goes with the knobs, and which knobs matter."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from results.columns import check_column, final, numbers
from results.metrics import is_knob
from results.parameters import check_count, check_share
from results.statistics.intervals import mean_interval


@dataclass(frozen=True)
class Trend:
    """The mean of a metric at each value of a knob, with Student's interval.

    Columns ``knob`` (the value; of a bin, its median), ``value``, ``lower``, ``upper``, ``networks``, in the
    knob's order. A numeric knob with more than ``bins`` values is cut into that many bins of about equal
    count. The ends are NaN for a single network, which tells of no spread.
    """

    knob: str
    metric: str = "accuracy"
    bins: int = 10
    level: float = 0.95

    def __post_init__(self) -> None:
        check_count("bins", self.bins)
        check_share("level", self.level)

    def __call__(self, df: pd.DataFrame) -> pd.DataFrame:
        known = _finished(df, self.metric, [self.knob]).dropna(subset=[self.knob])
        knob = known[self.knob]
        rows = []
        binned = pd.api.types.is_numeric_dtype(knob) and knob.nunique() > self.bins
        groups = (
            # bins of equal count: equal widths would leave some with one network
            pd.qcut(knob.astype("float64"), self.bins, duplicates="drop")
            if binned
            else knob
        )
        # observed: bins without networks are no rows
        for value, group in known.groupby(groups, observed=True):
            values = numbers(group, self.metric)
            lower, upper = mean_interval(values, self.level)
            place = group[self.knob].median() if binned else value
            rows.append((place, values.mean(), lower, upper, len(values)))
        return pd.DataFrame(
            rows, columns=["knob", "value", "lower", "upper", "networks"]
        )


def importance(
    df: pd.DataFrame,
    metric: str = "accuracy",
    knobs: Sequence[str] | None = None,
    *,
    repeats: int = 10,
    seed: int = 0,
) -> pd.DataFrame:
    """How much of a metric's variance a random forest no longer explains when a knob's values are shuffled.

    Columns ``knob``, ``importance``, ``lower``, ``upper`` (over folds and repeats: 95 % range), most
    important first. Measured on networks the forest has not seen (5 folds), in shares of the variance;
    ``attrs["r2"]`` is what the forest explains there in all: where that is near 0, the ranking means nothing.
    ``knobs`` default to the columns ``arch.*`` and ``training.*``. Knobs that go together share their
    importance. Raises ``ValueError`` for fewer than 10 networks.
    """
    check_count("repeats", repeats)
    knobs = (
        [name for name in df.columns if is_knob(name)] if knobs is None else list(knobs)
    )
    known = _finished(df, metric, knobs)
    if len(known) < 10:
        raise ValueError(
            f"importance needs at least 10 finished networks with {metric}, there are {len(known)}"
        )
    varying = [name for name in knobs if known[name].nunique(dropna=False) > 1]
    if not varying:
        raise ValueError("no knob varies, so none can matter")
    features = _encoded(known[varying])
    target = numbers(known, metric)
    drops, scores = _shuffled_drops(features, target, repeats, seed)
    lower, upper = np.quantile(drops, (0.025, 0.975), axis=1)
    rows = {"knob": varying, "importance": drops.mean(axis=1)}
    table = pd.DataFrame(rows | {"lower": lower, "upper": upper}).sort_values(
        "importance", ascending=False, ignore_index=True
    )
    table.attrs["r2"] = float(np.mean(scores))
    return table


def _shuffled_drops(
    features: pd.DataFrame,
    target: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    repeats: int,
    seed: int,
) -> tuple["np.ndarray[tuple[int, int], np.dtype[np.float64]]", list[float]]:
    """(knobs, folds x repeats) drops of R2 on held-out networks, and R2 per fold."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import KFold

    drops = []
    scores = []
    # On networks the forest has seen, every knob looks important.
    for train, test in KFold(5, shuffle=True, random_state=seed).split(features):
        forest = RandomForestRegressor(100, min_samples_leaf=2, random_state=seed)
        forest.fit(features.iloc[train], target[train])
        found = permutation_importance(
            forest,
            features.iloc[test],
            target[test],
            n_repeats=repeats,
            random_state=seed,
        )
        drops.append(found.importances)
        scores.append(forest.score(features.iloc[test], target[test]))
    return np.concatenate(drops, axis=1), scores


def _finished(df: pd.DataFrame, metric: str, knobs: Sequence[str]) -> pd.DataFrame:
    for name in knobs:
        check_column(df, name, "knob")
    return df[final(df) & ~np.isnan(numbers(df, metric))]


def _encoded(knobs: pd.DataFrame) -> pd.DataFrame:
    """Numbers as they are, others by their sorted place; -1 where a knob does not apply."""
    columns = {}
    for name in knobs.columns:
        column = knobs[name]
        if not pd.api.types.is_numeric_dtype(column):
            # a tree splits codes anywhere, so their order hardly matters
            column = column.astype("category").cat.codes
        columns[name] = column.astype("float64").fillna(-1.0)
    return pd.DataFrame(columns)
