"""Short trainings against a long one, and against themselves: which of them to search with."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import scipy

from results.statistics.rank_agreement import rank_agreement

AGREEMENTS = (
    "with_truth",
    "with_truth_lower",
    "with_truth_upper",
    "beyond_macs",
    "regret",
)
CHOSEN = 4
"""Networks that a search would train in full, for the regret."""


def compare_rankings(trainings: pd.DataFrame, truth: str) -> pd.DataFrame:
    """A row per ``proxy``, the one that agrees best with ``truth`` first, the truth itself last.

    ``trainings`` has a row per training: ``proxy``, ``arch_id``, ``seed``, ``accuracy``, ``macs``, ``seconds``. Of
    each proxy: ``networks`` it has in common with the truth; their mean ``accuracy``; ``seconds`` a training;
    ``noise``, the deviation between two trainings of a network, and ``signal``, that between networks without it;
    ``with_itself``, Kendall's tau of the first two seeds; ``with_truth``, its mean over the seeds with the truth's
    mean, and the ends of the first seed's 95 % interval; ``beyond_macs``, the partial tau given the MACs (Kendall
    1942); ``regret``, by how much the truth's best network beats the best of the four that the proxy ranks
    highest, its mean over the seeds. What too few trainings leave unknown is NaN.

    Raises:
        ValueError: if the truth has fewer than 4 networks.
    """
    values = accuracies(trainings)
    target = values[truth].mean(axis=1)
    macs = trainings.groupby("arch_id")["macs"].first()
    rows = [
        {"proxy": name, **_judged(known, target, macs, is_truth=name == truth)}
        for name, known in values.items()
    ]
    costs = trainings.groupby("proxy")["seconds"].mean()
    table = pd.DataFrame(rows)
    table["seconds"] = table["proxy"].map(costs)
    table["_last"] = table["proxy"] == truth
    order = table.sort_values(["_last", "with_truth"], ascending=[True, False])
    return order.drop(columns="_last").reset_index(drop=True)


def accuracies(trainings: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Of each ``proxy``, its accuracies: (networks by ``arch_id``, seeds)."""
    return {
        str(name): rows.pivot_table(index="arch_id", columns="seed", values="accuracy")
        for name, rows in trainings.groupby("proxy", sort=False)
    }


def partial_tau(proxy: object, truth: object, given: object) -> float:
    """Kendall's tau of ``proxy`` and ``truth`` with what both owe to ``given`` taken out (Kendall 1942)."""
    ours, left, right = (
        scipy.stats.kendalltau(*pair).statistic
        for pair in combinations((proxy, truth, given), 2)
    )
    # the formula is that of the partial correlation
    own = ours - left * right
    scale = np.sqrt((1 - left**2) * (1 - right**2))
    return float(own / scale)


def _judged(
    known: pd.DataFrame,
    truth: "pd.Series[Any]",
    macs: "pd.Series[Any]",
    *,
    is_truth: bool,
) -> dict[str, float]:
    noise, signal = _deviations(known.dropna())
    seeds = list(known.columns)
    row = {
        "networks": len(known.index.intersection(truth.dropna().index)),
        "accuracy": float(np.nanmean(known.to_numpy())),
        "noise": noise,
        "signal": signal,
        "with_itself": _tau(known, seeds[1:2], known[seeds[0]])["kendall"],
    }
    if is_truth:
        return row | dict.fromkeys(AGREEMENTS, np.nan)
    found = [_tau(known, [seed], truth) for seed in seeds]
    beyond = [_beyond(known[seed], truth, macs) for seed in seeds]
    regrets = [_regret(known[seed], truth) for seed in seeds]
    first = found[0]
    return row | {
        "with_truth": float(pd.Series([each["kendall"] for each in found]).mean()),
        "with_truth_lower": first["kendall_lower"],
        "with_truth_upper": first["kendall_upper"],
        "beyond_macs": float(pd.Series(beyond).mean()),
        "regret": float(pd.Series(regrets).mean()),
    }


def _tau(values: pd.DataFrame, columns: list[Any], other: "pd.Series[Any]") -> Any:
    """Of the one column, if it is there and has networks enough."""
    unknown = dict.fromkeys(("kendall", "kendall_lower", "kendall_upper"), np.nan)
    if not columns:
        return unknown
    try:
        return rank_agreement(values[columns], other).iloc[0].to_dict()
    except ValueError:
        return unknown


def _beyond(
    values: "pd.Series[Any]", truth: "pd.Series[Any]", macs: "pd.Series[Any]"
) -> float:
    columns = {"proxy": values, "truth": truth, "macs": macs}
    together = pd.DataFrame(columns).dropna()
    return (
        partial_tau(*(together[name] for name in together))
        if len(together) > 3
        else np.nan
    )


def _regret(values: "pd.Series[Any]", truth: "pd.Series[Any]") -> float:
    known = truth[values.dropna().index.intersection(truth.dropna().index)]
    # of no more networks than would be chosen, none is left behind
    if len(known) <= CHOSEN:
        return np.nan
    chosen = values[known.index].nlargest(CHOSEN).index
    return float(known.max() - known[chosen].max())


def _deviations(values: pd.DataFrame) -> tuple[float, float]:
    """Of two trainings of a network, and of networks: one-way analysis of variance over complete rows."""
    seeds = values.shape[1]
    if seeds < 2 or len(values) < 2:
        return np.nan, np.nan
    within = float(values.var(axis=1).mean())
    # the means of so many trainings still carry their share of the noise
    of_means = float(values.mean(axis=1).var())
    between = of_means - within / seeds
    return within**0.5, max(0.0, between) ** 0.5
