"""One self-contained HTML page about a run: opens from disk, needs no network."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from textwrap import wrap
from typing import Any

import pandas as pd
import yaml
from plotly.offline import get_plotlyjs

from results import strict_json, wording
from results.atomic import write_atomic
from results.run import Run

_NOT_METRICS = ("trial", "seed", "arch")


def write_report(run: Run, path: str | Path) -> None:
    """Write the page about ``run`` to ``path``, in one step.

    Summary, interactive scatter plot, table of the front, learning curves, failures, settings. A run without
    a complete trial, or with trials that do not compare, gives a page that says so.
    """
    front = run.comparable_front()
    page = files("results") / "page"
    html = Template((page / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(run.path.resolve().name),
        summary="".join(f"<p>{escape(sentence)}</p>" for sentence in wording.summary(run, front)),
        tiles=_tiles(run, front),
        front=_front_table(run, front),
        failures=_failures(run.trials),
        settings=escape(yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True)),
        data=_script_json(_chart_data(run, front)),
        style=(page / "page.css").read_text(encoding="utf-8"),
        script=(page / "page.js").read_text(encoding="utf-8"),
        plotly=get_plotlyjs(),
    )
    write_atomic(path, html)


def _tiles(run: Run, front: pd.DataFrame) -> str:
    tiles = [(str(len(run.trials)), "networks tried"), (wording.duration(run.seconds), "search time")]
    if len(front):
        first = next(iter(run.objectives))
        best = wording.number(first, front.iloc[0][first])
        tiles = [
            (best, f"best {wording.label(first)}"),
            (str(len(front)), "on the front"),
            (f"{run.hypervolume():.4g}", "hypervolume"),
            *tiles,
        ]
    return "".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for value, name in tiles)


def _front_table(run: Run, front: pd.DataFrame) -> str:
    """Every knob and metric of the front networks; the best value of each objective is marked."""
    if front.empty:
        return "<p>No network is on the front yet.</p>"
    metrics, knobs = _metrics(run), _knobs(front)
    best = {name: front[name].agg(direction) for name, direction in run.objectives.items()}
    rows = []
    for row in front.to_dict("records"):
        cells = [_cell(row["trial"], str(row["trial"])), _cell(None, wording.text(row["arch_id"]), "id")]
        cells += [
            _cell(row[name], wording.number(name, row[name]), "best" if row[name] == best.get(name) else "")
            for name in metrics
        ]
        cells += [_cell(row[name], wording.text(row[name])) for name in knobs]
        rows.append(f'<tr id="trial-{row["trial"]}">{"".join(cells)}</tr>')
    heads = [
        "trial",
        "architecture",
        *map(wording.label, metrics),
        *(name.removeprefix("arch.") for name in knobs),
    ]
    return _table(heads, rows)


def _failures(trials: pd.DataFrame) -> str:
    """Reasons why trials gave no result, most frequent first; empty if none."""
    lost = trials[trials["status"].isin(["failed", "infeasible"])]
    if lost.empty:
        return ""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in lost.fillna({"error": "no reason given"}).to_dict("records"):
        groups.setdefault((row["status"], row["error"]), []).append(str(row["trial"]))
    rows = []
    for (status, error), numbers in sorted(groups.items(), key=lambda group: -len(group[1])):
        shown = ", ".join(numbers[:20]) + (", …" if len(numbers) > 20 else "")
        count, reason = len(numbers), f"<td><pre>{escape(error)}</pre></td>"
        rows.append(f"<tr>{_cell(None, status)}{_cell(count, str(count))}{reason}{_cell(None, shown)}</tr>")
    table = _table(["outcome", "count", "reason", "trials"], rows)
    return f"<section><h2>Failed and rejected</h2>{table}</section>"


def _table(heads: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f'<th scope="col"><button type="button">{escape(name)}</button></th>' for name in heads)
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _cell(value: Any, text: str, kind: str = "") -> str:
    """``value``, where it is a number, sorts the column and is the tooltip in full precision."""
    numeric = isinstance(value, (int, float)) and not pd.isna(value)
    exact = f' data-value="{float(value)}" title="{value}"' if numeric else ""
    return f"<td{exact}{kind and f' class={kind}'}>{escape(text)}</td>"


def _metrics(run: Run) -> list[str]:
    """Numeric columns that some complete trial has, objectives first."""
    complete = run.complete
    measured = [
        name
        for name in complete.select_dtypes("number").columns
        if name not in _NOT_METRICS and not name.startswith("arch.") and complete[name].notna().any()
    ]
    return [name for name in run.objectives if name in measured] + [
        name for name in measured if name not in run.objectives
    ]


def _knobs(table: pd.DataFrame) -> list[str]:
    return [name for name in table.columns if name.startswith("arch.") and table[name].notna().any()]


def _chart_data(run: Run, front: pd.DataFrame) -> dict[str, Any]:
    """What the page's script draws; values are in the units of the labels."""
    complete, metrics, knobs = run.complete, _metrics(run), _knobs(run.complete)
    on_front = set(front["trial"])
    return {
        "objectives": run.objectives,
        "metrics": [
            {"name": name, "label": wording.label(name), "log": name in wording.LOGARITHMIC}
            for name in metrics
        ],
        "trials": [
            {
                "trial": row["trial"],
                "front": row["trial"] in on_front,
                "values": {name: _shown(name, row[name]) for name in metrics},
                "hover": _hover(row, metrics, knobs),
            }
            for row in complete.to_dict("records")
        ],
        "curves": _curves(run.epochs, front["trial"].tolist()),
    }


def _shown(metric: str, value: Any) -> float | None:
    return None if pd.isna(value) else float(value) * wording.scale(metric)


def _hover(row: dict[Any, Any], metrics: Sequence[str], knobs: Sequence[str]) -> list[str]:
    lines = [wording.with_unit(name, row[name]) for name in metrics if not pd.isna(row[name])]
    choices = ", ".join(
        f"{name.removeprefix('arch.')} {row[name]}" for name in knobs if not pd.isna(row[name])
    )
    return [f"trial {row['trial']}", *lines, *wrap(choices, 60)]


def _curves(epochs: pd.DataFrame, front: Sequence[int]) -> list[dict[str, Any]]:
    known = epochs.dropna(subset=["epoch", "accuracy"])
    return [
        {
            "trial": trial,
            "front": trial in front,
            "epoch": history["epoch"].tolist(),
            "accuracy": [_shown("accuracy", value) for value in history["accuracy"]],
        }
        for trial, history in known.groupby("trial")
    ]


def _script_json(value: Any) -> str:
    """JSON that cannot end the <script> element it stands in."""
    return strict_json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
