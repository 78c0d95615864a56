"""Figures of ``searchers.py``: hypervolume against cost, and what half of the searches attain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from searchers_table import POINTS, Record

from results import attainment

LOWEST = 0.7
"""Of the best hypervolume: where its axis begins."""
DRAWN = 6
"""Searches with an attainment curve of their own: the best, and random without stopping."""


def figure(
    records: Sequence[Record],
    table: pd.DataFrame,
    objectives: Mapping[str, str],
) -> str:
    """A page of HTML; ``table`` has the searches, best first.

    Left, the median hypervolume of every search. Right, by accuracy and the last objective alone, what half of
    the seeds reached in the end.
    """
    curves = pd.concat(map(_curve, records))
    fronts = pd.concat(_front(record, list(objectives)) for record in records)
    names = [f"{row.sampler}, {row.stopper}" for row in table.itertuples()]
    samplers = dict.fromkeys(table["sampler"])
    colours = {
        name: f"hsl({place * 137 % 360}, 60%, 45%)"
        for place, name in enumerate(samplers)
    }
    other = list(objectives)[-1]
    chart = make_subplots(
        1,
        2,
        subplot_titles=[
            "hypervolume, median",
            f"accuracy by {other}, median attainment",
        ],
    )
    for row, name in zip(table.itertuples(), names, strict=True):
        mine = (curves["sampler"] == row.sampler) & (curves["stopper"] == row.stopper)
        median = curves[mine].groupby("cost")["hypervolume"].median()
        line = {
            "color": colours[str(row.sampler)],
            "dash": "dot" if row.stopper == "none" else "solid",
        }
        chart.add_trace(
            go.Scatter(x=median.index, y=median, name=name, line=line), 1, 1
        )
        if row.Index < DRAWN or name == "random, none":
            mine = (fronts["sampler"] == row.sampler) & (
                fronts["stopper"] == row.stopper
            )
            plane = {"accuracy": objectives["accuracy"], other: objectives[other]}
            surface = attainment(
                fronts[mine], plane, by="seed", percentiles=(50,)
            ).sort_values(other)
            steps = go.Scatter(
                x=surface[other],
                y=surface["accuracy"],
                line={**line, "shape": "hv"},
                showlegend=False,
                name=name,
            )
            chart.add_trace(steps, 1, 2)
    chart.update_xaxes(title_text="share of the cost", col=1)
    chart.update_xaxes(title_text=other, col=2)
    best = curves["hypervolume"].max()
    chart.update_yaxes(range=[LOWEST * best, 1.01 * best], col=1)
    chart.update_layout(
        width=1200,
        height=480,
        template="plotly_white",
        margin={"t": 40, "l": 50, "r": 20, "b": 50},
    )
    return str(chart.to_html(include_plotlyjs=True))


def _curve(record: Record) -> pd.DataFrame:
    cost = (np.arange(len(record.curve)) + 1) / POINTS
    return _named(record, pd.DataFrame({"cost": cost, "hypervolume": record.curve}))


def _front(record: Record, objectives: Sequence[str]) -> pd.DataFrame:
    return _named(record, pd.DataFrame(record.front, columns=list(objectives)))


def _named(record: Record, frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(
        sampler=record.sampler, stopper=record.stopper, seed=record.seed
    )
