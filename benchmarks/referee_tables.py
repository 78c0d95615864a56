"""What ``referee.py judge`` tells beside ranks: the knobs that a training likes, and what size is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from results.statistics.proxies import accuracies
from results.statistics.size_gain import size_gain

TRUTH, LOSS = "truth", ", loss"
LEAST = 5
"""Networks of which a training's taste is told."""


def liked(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Kendall's tau of accuracies with the knobs that are numbers or switches: (candidates and visits, knobs)."""
    table = pd.DataFrame(
        {
            "training": f"{row['candidate']} {row['visits']}",
            "arch_id": row["arch_id"],
            "accuracy": row["epochs"][-1]["accuracy"],
            "macs": row["macs"],
            "params": row["params"],
        }
        | {
            name: float(value)
            for name, value in row["arch"].items()
            if isinstance(value, (bool, int))
        }
        for row in rows
    )
    means = table.groupby(["training", "arch_id"]).mean()
    taus = {
        name: each.corr("kendall")["accuracy"]
        for name, each in means.groupby("training")
        if len(each) >= LEAST
    }
    # a knob that is the same in all networks agrees with nothing
    return pd.DataFrame(taus).drop(index="accuracy").dropna(how="all").T


def size_gains(trainings: pd.DataFrame) -> pd.DataFrame:
    """``results.statistics.size_gain`` of every training that has the referee's networks."""
    by_accuracy = trainings[~trainings["proxy"].str.endswith(LOSS)]
    values = accuracies(by_accuracy)
    truth = values.pop(TRUTH).mean(axis=1)
    params = np.exp(trainings.groupby("arch_id")["size"].first())
    rows = []
    for name, accuracy in values.items():
        gain, (lower, upper) = size_gain(accuracy, truth, params)
        rows.append({"training": name, "gain": gain, "lower": lower, "upper": upper})
    return pd.DataFrame(rows)


def with_size(trainings: pd.DataFrame) -> pd.DataFrame:
    """The truth, the parameters alone, and every proxy with them, standardised over its networks, added."""
    short = trainings[trainings["proxy"] != TRUTH]
    truth = trainings[trainings["proxy"] == TRUTH]
    size = truth[truth["seed"] == 0].assign(proxy="parameters", accuracy=truth["size"])
    standard = short.groupby(["proxy", "seed"])[["accuracy", "size"]].transform(
        lambda column: (column - column.mean()) / column.std()
    )
    return pd.concat([short.assign(accuracy=standard.sum(axis=1)), size, truth])
