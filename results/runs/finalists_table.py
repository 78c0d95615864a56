"""Networks trained in full as a table of texts: what the search said of each, and what is true, side by side."""

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from results.objectives import Directions
from results.wording import counted, label, number


def finalists_table(
    networks: pd.DataFrame, objectives: Directions
) -> tuple[list[str], list[list[str]]]:
    """Headings and rows, in the order of ``networks``; all columns but the first and the last are numbers."""
    costs = [name for name in objectives if name != "accuracy"]
    headings = [
        "network",
        "in the search (%)",
        "in full (%)",
        "on test (%)",
        "seeds",
        *map(label, costs),
        "on the front (probability)",
    ]
    rows = [
        [
            _named(row),
            number("accuracy", row["proxy_accuracy"]),
            _with_error(row),
            number("top1", row.get("top1")),
            number("seeds", row["seeds"]),
            *(number(name, row[name]) for name in costs),
            _certainty(row),
        ]
        for row in networks.to_dict("records")
    ]
    return headings, rows


def _named(row: Mapping[Hashable, Any]) -> str:
    role = row["role"]
    return f"{row['network']}" + (
        "" if role in ("finalist", "random") else f" ({role})"
    )


def _with_error(row: Mapping[Hashable, Any]) -> str:
    value = row["accuracy"]
    error = row["accuracy_error"]
    return number("accuracy", value) + (
        "" if pd.isna(error) else f" ± {number('accuracy', error)}"
    )


def _certainty(row: Mapping[Hashable, Any]) -> str:
    if row["status"] != "complete":
        epochs = row["epochs"]
        # a training that failed at once has none
        after = "" if pd.isna(epochs) else f" after {counted(int(epochs), 'epoch')}"
        # no process need be at work on it: the hours may be over
        status = "not finished" if row["status"] == "running" else row["status"]
        return f"{status}{after}"
    chance = row["front_probability"]
    return f"{'yes' if row['on_front'] else 'no'} ({chance:.0%})"
