"""The paper's headline by public measurements: how fast are ResNeSts beside families that are no less accurate?

    python benchmarks/headline.py [--figure FILE.html or FILE.png]

Prints a row per public ResNeSt and column per family: the throughput of the fastest network of the family that is
no less accurate, over the ResNeSt's, as the median over benchmark tables and their range. Above 1 the family is
ahead; a dash: it has none so accurate. ``--figure`` draws the medians; a .png is taken of it by playwright's
Chromium. Data: ``resnest_rivals()``; nothing is measured here.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from results.statistics.public_models import resnest_rivals

CLAIMED = "EfficientNet (AutoAugment, 2020)"
"""What the paper was up against: the weights of that year."""
FAMILIES = (
    CLAIMED,
    "RegNetY (pycls, 2020)",
    "ResNet, ResNet-D",
    "EfficientNet",
    "RegNetY",
    "EfficientNetV2",
    "MobileNetV4",
)
LEAST_ACCURACY = 0.81
SIZE = {"width": 1200, "height": 520}


def kinds(rivals: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The benchmark tables by how the networks were run."""
    gpu, first = ~rivals["cpu"], ~rivals["channels_last"]
    return {
        "GPU, channels first": rivals[gpu & first & ~rivals["compiled"]],
        "GPU, channels first, compiled": rivals[gpu & first & rivals["compiled"]],
        "GPU, channels last": rivals[gpu & ~first],
        "CPU, compiled": rivals[rivals["cpu"]],
    }


def ratios(rivals: pd.DataFrame) -> pd.DataFrame:
    """A row per ResNeSt and family: ``median``, ``min`` and ``max`` of the ratio over benchmark tables."""
    keys = ["accuracy", "resnest", "resolution", "family"]
    found = rivals.groupby(keys)["ratio"].agg(["median", "min", "max"])
    return found.dropna().reset_index()


def markdown(rivals: pd.DataFrame) -> str:
    found = ratios(rivals)
    cells = [
        f"{row.median:.2f} ({row.min:.2f} to {row.max:.2f})"
        for row in found[["median", "min", "max"]].itertuples()
    ]
    wide = found.assign(cell=cells).pivot_table(
        index=["accuracy", "resnest"], columns="family", values="cell", aggfunc="first"
    )
    families = [name for name in FAMILIES if name in wide]
    lines = [
        f"| ResNeSt, top-1 | {' | '.join(families)} |",
        "|---" * (1 + len(families)) + "|",
    ]
    for (accuracy, name), row in wide[families].iterrows():
        shown = " | ".join(row.fillna("\N{EN DASH}"))
        lines.append(f"| {name}, {accuracy:.1%} | {shown} |")
    return "\n".join(lines)


def verdict(rivals: pd.DataFrame) -> str:
    """Where the claim of 2020 holds, counted."""
    lines = []
    for kind, table in kinds(rivals).items():
        claimed = table[table["family"] == CLAIMED]
        claimed = claimed[claimed["accuracy"] >= LEAST_ACCURACY].dropna(subset="ratio")
        behind = claimed[claimed["ratio"] >= 1]
        said = ", ".join(
            f"{name} in {count}"
            for name, count in behind["resnest"].value_counts().items()
        )
        lines.append(
            f"{kind}: ResNeSts from {LEAST_ACCURACY:.0%} up are ahead of {CLAIMED} in "
            f"{len(claimed) - len(behind)} of {len(claimed)} comparisons; behind: {said or 'none'}"
        )
    return "\n".join(lines)


def figure(rivals: pd.DataFrame) -> go.Figure:
    tables = kinds(rivals)
    chart = make_subplots(
        1, len(tables), subplot_titles=list(tables), shared_yaxes=True
    )
    for column, table in enumerate(tables.values(), start=1):
        found = ratios(table)
        for family in FAMILIES:
            line = found[found["family"] == family]
            chart.add_scatter(
                x=_names(line),
                y=line["median"],
                name=family,
                legendgroup=family,
                showlegend=column == 1,
                line={
                    "color": COLOURS[family],
                    "dash": "solid" if "2020" in family else "dot",
                },
                row=1,
                col=column,
            )
        chart.add_hline(y=1, line_color="#888", row=1, col=column)
    order = _names(ratios(rivals).drop_duplicates("resnest"))
    chart.update_xaxes(categoryorder="array", categoryarray=order, tickangle=-60)
    chart.update_yaxes(type="log", tickvals=[0.5, 0.7, 1, 1.4, 2, 3, 5])
    chart.update_yaxes(title_text="throughput of the family / ResNeSt's", col=1)
    chart.update_layout(
        **SIZE,
        template="plotly_white",
        margin={"t": 40},
        legend={"orientation": "h", "y": -0.6},
    )
    return chart


def _names(found: pd.DataFrame) -> list[str]:
    """A place of its own for each, by accuracy: three of them are within 0.2 points."""
    return [
        f"{name.removeprefix('resnest')} ({accuracy:.1%})"
        for name, accuracy in zip(found["resnest"], found["accuracy"], strict=True)
    ]


COLOURS = dict(
    zip(
        FAMILIES,
        ("#d62728", "#ff7f0e", "#7f7f7f", "#1f77b4", "#2ca02c", "#9467bd", "#17becf"),
        strict=True,
    )
)


def write(chart: go.Figure, path: Path) -> None:
    """As a page, or as a picture of that page."""
    page = path.with_suffix(".html")
    page.write_text(chart.to_html(include_plotlyjs=True), encoding="utf-8")
    if path.suffix == ".png":
        from playwright.sync_api import sync_playwright

        with sync_playwright() as tools, _browser(tools) as browser:
            view = browser.new_page(viewport=SIZE)
            view.goto(page.absolute().as_uri())
            view.wait_for_selector(".main-svg")
            view.screenshot(path=path)
        page.unlink()


def _browser(tools: Any) -> Any:
    """Playwright's own Chromium, or the one that is installed."""
    return tools.chromium.launch(executable_path=shutil.which("chromium"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--figure", type=Path)
    asked = parser.parse_args()
    rivals = resnest_rivals()
    for kind, table in kinds(rivals).items():
        count = table["benchmark"].nunique()
        print(
            f"{kind}, {count} benchmark table{'s' * (count > 1)}\n\n{markdown(table)}\n"
        )
    print(verdict(rivals))
    if asked.figure:
        write(figure(rivals), asked.figure)


if __name__ == "__main__":
    main()
