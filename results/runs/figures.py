"""The charts of a run as plotly figures to restyle, and the small one that a notebook shows by itself."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.objectives import Directions
from results.statistics.trends import Trend
from results.wording import label, number, scale, with_unit

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_ACCENT = "#0072b2"
_FRONT = "#d55e00"
_OTHER = "#9aa5ac"
"""Okabe and Ito's colours, as in the report."""


def front_figure(trials: pd.DataFrame, front: pd.DataFrame, x: str, y: str) -> Figure:
    """Networks trained to the end in two metrics, those of the front apart."""
    import plotly.graph_objects as go

    figure = go.Figure()
    others = trials[~trials["trial"].isin(front["trial"])]
    for name, rows, colour in (
        ("trained to the end", others, _OTHER),
        ("on the front", front, _FRONT),
    ):
        figure.add_scatter(
            x=_shown(rows, x), y=_shown(rows, y), name=name, mode="markers",
            marker={"color": colour, "size": 10 if colour == _FRONT else 7},
            customdata=rows["trial"], hovertemplate="trial %{customdata}: %{x}, %{y}<extra></extra>",
        )  # fmt: skip
    return _titled(figure, label(x), label(y))


def progress_figure(history: pd.DataFrame) -> Figure:
    """The hypervolume after every network of ``results.hypervolume_over_time``."""
    import plotly.graph_objects as go

    times = history["finished"]
    minutes = (times - times.min()).dt.total_seconds() / 60
    line = go.Scatter(
        x=minutes, y=history["hypervolume"], line={"shape": "hv", "color": _ACCENT}
    )
    figure = _titled(
        go.Figure(line), "minutes since the first network ended", "hypervolume"
    )
    return figure.update_yaxes(rangemode="tozero")


def learning_figure(epochs: pd.DataFrame, front: pd.DataFrame, metric: str) -> Figure:
    """A curve for each network; those of the front stand out."""
    import plotly.graph_objects as go

    figure = go.Figure()
    chosen = set(front["trial"])
    known = epochs.dropna(subset=[metric])
    # the front is drawn last, on top
    for trial, rows in sorted(
        known.groupby("trial"), key=lambda each: each[0] in chosen
    ):
        figure.add_scatter(
            x=rows["epoch"], y=_shown(rows, metric), name=f"trial {trial}", mode="lines",
            line={"color": _FRONT if trial in chosen else _OTHER, "width": 2 if trial in chosen else 1},
            showlegend=trial in chosen,
        )  # fmt: skip
    return _titled(figure, "epoch", label(metric))


def knob_figure(trials: pd.DataFrame, knob: str, metric: str) -> Figure:
    """The mean of a metric at each value of a knob, with 95 % intervals where there are several networks."""
    import plotly.graph_objects as go

    trend = Trend(knob, metric)(trials)
    factor = scale(metric)
    value = trend["value"] * factor
    bars = go.Scatter(
        x=trend["knob"].astype(str), y=value, mode="markers", marker={"color": _ACCENT, "size": 10},
        error_y={"array": trend["upper"] * factor - value, "arrayminus": value - trend["lower"] * factor},
        customdata=trend["networks"], hovertemplate="%{x}: %{y} of %{customdata} networks<extra></extra>",
    )  # fmt: skip
    figure = _titled(go.Figure(bars), knob.removeprefix("arch."), label(metric))
    return figure.update_xaxes(type="category")


def _shown(rows: pd.DataFrame, metric: str) -> Any:
    values = rows[metric].to_numpy(dtype=float, na_value=np.nan)
    return values * scale(metric)


def _titled(figure: Figure, across: str, up: str) -> Figure:
    # plotly reads a little HTML in its texts
    figure.update_layout(
        template="simple_white", xaxis_title=escape(across), yaxis_title=escape(up)
    )
    return figure


_WIDTH = 420
_HEIGHT = 260
_MARGIN = 34
_ROWS = 10


def notebook_view(
    trials: pd.DataFrame,
    front: pd.DataFrame,
    objectives: Directions,
    sentence: str,
) -> str:
    """HTML: a sentence, the front in its first two objectives, its first networks. No script, no request."""
    known = [name for name in objectives if trials[name].notna().any()]
    picture = _picture(trials, front, *known[:2]) if len(known) > 1 else ""
    first = front.head(_ROWS).to_dict("records")
    rows = "".join(_row(row, known) for row in first)
    heads = "".join(
        f"<th>{escape(head)}</th>" for head in ("trial", *map(label, known))
    )
    table = f"<table><tr>{heads}</tr>{rows}</table>" if rows else ""
    more = f"<p>… and {len(front) - _ROWS} more</p>" if len(front) > _ROWS else ""
    return f"<div><p>{escape(sentence)}</p>{picture}{table}{more}</div>"


def _row(row: Mapping[Hashable, object], metrics: list[str]) -> str:
    numbers = (number(name, row[name]) for name in metrics)
    cells = [str(row["trial"]), *numbers]
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _picture(trials: pd.DataFrame, front: pd.DataFrame, y: str, x: str) -> str:
    """An inline SVG: notebooks keep it, and show it without JavaScript."""
    known = trials.dropna(subset=[x, y])
    chosen = known["trial"].isin(front["trial"]).to_numpy()
    dots = _dots(known, chosen, y, x)
    words = f"{_range(known, y)} (up), {_range(known, x)} (across)"
    edge = _MARGIN // 2
    right = _WIDTH - _MARGIN // 2
    floor = _HEIGHT - _MARGIN // 2
    axes = f"M{edge} {edge}V{floor}H{right}"
    frame = f'<path d="{axes}" fill="none" stroke="{_OTHER}"/>'
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{escape(words)}">{frame}{dots}</svg>'
        f"<p><small>{words}; orange: on the front</small></p>"
    )


def _range(known: pd.DataFrame, name: str) -> str:
    """From where to where a metric goes, for HTML."""
    low = with_unit(name, known[name].min())
    high = with_unit(name, known[name].max())
    return f"{escape(low)} to {escape(high)}"


def _dots(known: pd.DataFrame, chosen: NDArray[np.bool_], y: str, x: str) -> str:
    across = _pixels(known[x], _MARGIN, _WIDTH - _MARGIN)
    up = _pixels(known[y], _HEIGHT - _MARGIN, _MARGIN)
    # what is drawn later lies on top: the front last
    return "".join(
        f'<circle cx="{across[i]:.1f}" cy="{up[i]:.1f}" r="{4 if chosen[i] else 2.5}" '
        f'fill="{_FRONT if chosen[i] else _OTHER}"/>'
        for i in np.argsort(chosen, kind="stable")
    )


def _pixels(column: pd.Series[Any], start: float, end: float) -> Any:
    values = column.to_numpy(dtype=float)
    low = values.min()
    span = (values.max() - low) or 1
    return start + (values - low) / span * (end - start)
