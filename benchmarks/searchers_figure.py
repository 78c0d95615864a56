"""The figure of ``searchers.py``: hypervolume against cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from searchers_table import POINTS, Record

LOWEST = 0.7
"""Of the best hypervolume: where its axis begins."""


def figure(records: Sequence[Record], searches: Sequence[str]) -> str:
    """A page of HTML: the median hypervolume of each of ``searches``, as far as all of its seeds went."""
    chart = go.Figure()
    best = 0.0
    for place, name in enumerate(searches):
        curves = [it.curve for it in records if it.name == name]
        median = np.median([it[: min(map(len, curves))] for it in curves], axis=0)
        cost = (np.arange(len(median)) + 1) / POINTS
        line = {"color": f"hsl({place * 137 % 360}, 60%, 45%)"}
        chart.add_trace(go.Scatter(x=cost, y=median, name=name, line=line))
        best = max(best, median.max())
    chart.update_xaxes(title_text="share of the cost")
    chart.update_yaxes(
        title_text="hypervolume, median", range=[LOWEST * best, 1.01 * best]
    )
    chart.update_layout(
        width=900,
        height=480,
        template="plotly_white",
        margin={"t": 20, "l": 60, "r": 20, "b": 50},
    )
    return str(chart.to_html(config={"displayModeBar": False}))
