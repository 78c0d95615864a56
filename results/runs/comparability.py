"""Which numbers compare: those of one signature, the column that says under which conditions they were taken."""

from collections.abc import Iterable

import pandas as pd

from results.metrics import metric


def incomparable(trials: pd.DataFrame, metrics: Iterable[str]) -> str | None:
    """Why the rows that have these metrics do not compare; None if they do."""
    for name in metrics:
        signature = metric(name).signature
        # Counted metrics have no signature: they compare everywhere.
        if signature not in trials or name not in trials:
            continue
        # of the rows that have the metric: a trial that was not measured has no conditions
        conditions = trials.loc[trials[name].notna(), signature]
        seen = sorted(map(str, conditions.dropna().unique()))
        if len(seen) > 1:
            kind = "fidelities" if signature == "fidelity" else "devices"
            return (
                f"{_plural(name)} of {len(seen)} {kind} do not compare ({'; '.join(seen)}): "
                f"choose other objectives, or filter .trials by one {signature} and call pareto_front"
            )
    return None


def _plural(metric: str) -> str:
    words = metric.removesuffix("_ms").replace("_", " ")
    return words.replace("latency", "latencies").replace("accuracy", "accuracies")
