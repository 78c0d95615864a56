"""One self-contained HTML page about a run: opens from disk, needs no network."""

import json
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from plotly.offline import get_plotlyjs

from results.atomic import write_atomic
from results.report.page_data import Stages, page_data
from results.runs.run import Run

SCRIPTS = ("core.js", "choose.js", "scatter.js", "networks.js", "charts.js", "live.js")


def write_report(
    run: Run,
    path: str | Path,
    *,
    stages: Stages | None = None,
    against: Mapping[str, object] | None = None,
) -> None:
    """Write the page about ``run`` to ``path``, in one step.

    A run without a complete trial, or with trials that do not compare, gives a page that says so. ``stages``
    reads the stages of an architecture for their drawing; ``against`` is what ``results.report.overlay`` gives.
    """
    write_atomic(
        path,
        page(
            page_data(run, stages=stages, against=against),
            title=run.path.resolve().name,
        ),
    )


def page(data: Mapping[str, Any], title: str) -> str:
    """The page that shows ``data``."""
    folder = files("results.report") / "page"
    text = {
        name: (folder / name).read_text(encoding="utf-8")
        for name in ("page.html", "page.css", *SCRIPTS)
    }
    html = Template(text["page.html"]).substitute(
        title=escape(title),
        summary="".join(f"<p>{escape(sentence)}</p>" for sentence in data["summary"]),
        data=script_json(data),
        style=text["page.css"],
        script="\n".join(text[name] for name in SCRIPTS),
        plotly=get_plotlyjs(),
    )
    return html.encode(errors="replace").decode()


def script_json(value: Mapping[str, object]) -> str:
    """JSON that cannot end the <script> element it stands in."""
    # "</script>" in a text would end the element.
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
