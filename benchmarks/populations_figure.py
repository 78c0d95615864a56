"""The figure of ``populations.py``: the error distributions of each family."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from results import EDF


def figure(table: pd.DataFrame, colours: Mapping[str, str]) -> str:
    """A page of HTML: the error distributions, a plot per family."""
    families = list(table["family"].unique())
    chart = make_subplots(1, len(families), subplot_titles=families)
    for column, family in enumerate(families, 1):
        for kind, group in table[table["family"] == family].groupby("kind", sort=False):
            edf = EDF()(group)
            line = {"shape": "hv", "color": colours[str(kind)]}
            chart.add_trace(
                go.Scatter(
                    x=edf["error"], y=edf["share"], name=kind, line=line, mode="lines"
                ),
                1,
                column,
            )
    chart.update_xaxes(title_text="error on validation images", tickformat=".0%")
    chart.update_yaxes(range=[0, 1.02])
    chart.update_yaxes(title_text="share of networks with less", col=1)
    once: set[str] = set()
    for trace in chart.data:
        trace.showlegend = trace.name not in once
        once.add(trace.name)
    chart.update_layout(
        width=1200, height=420, template="plotly_white", margin={"t": 40}
    )
    return str(chart.to_html(include_plotlyjs=True))
