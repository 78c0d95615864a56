"""Which numbers compare: those of one signature, the column that says under which conditions they were taken."""

from collections.abc import Iterable

import pandas as pd

from results.metrics import metric


def incomparable(trials: pd.DataFrame, metrics: Iterable[str]) -> str | None:
    """Why the rows that have these metrics do not compare; None if they do."""
    for name in metrics:
        signature = metric(name).signature
        if signature not in trials or name not in trials:
            continue
        seen = sorted(
            map(str, trials.loc[trials[name].notna(), signature].dropna().unique())
        )
        if len(seen) > 1:
            what = (
                name.removesuffix("_ms")
                .replace("_", " ")
                .replace("latency", "latencies")
            )
            return (
                f"{what} of {len(seen)} devices do not compare ({'; '.join(seen)}): "
                "choose other objectives, or filter .trials by one device and call pareto_front"
            )
    return None
