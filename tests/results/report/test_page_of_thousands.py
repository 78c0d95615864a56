"""The report of a large search in headless Chromium: drawn by WebGL, paged, the front on top."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageColor

from results import load_run, write_report
from tests.results.report.shown_pages import COUNTS, drawn


def test_thousands_of_points_are_drawn_by_webgl_and_paged(report, tmp_path, tab):
    run = load_run(report.parent)
    stopped = run.trials[run.trials["status"] == "stopped"]
    many = pd.concat([run.trials, *[stopped] * 150], ignore_index=True).assign(
        trial=lambda df: df.index
    )
    write_report(replace(run, trials=many), tmp_path / "report.html")
    tab.goto((tmp_path / "report.html").as_uri())
    kinds = dict(tab.evaluate("$('scatter').data.map(t => [t.name, t.type])"))
    if not tab.evaluate("webgl()"):
        pytest.skip("this chromium has no WebGL")
    assert set(kinds.values()) == {"scattergl"}
    tab.select_option("#at", "last")
    assert drawn(tab)["stopped"] == 151 * COUNTS["stopped"]
    tab.select_option("#rows", "all")
    assert tab.locator("#networks tbody tr").count() == 25


CENTRES = """name => {
    const chart = $('scatter'), box = chart.getBoundingClientRect(), inner = chart._fullLayout;
    const trace = chart.data.find(trace => trace.name === name);
    return trace.x.map((x, i) => [
        box.x + inner._size.l + inner.xaxis.d2p(x), box.y + inner._size.t + inner.yaxis.d2p(trace.y[i])]);
}"""


def pixels(tab) -> Image.Image:
    return Image.open(BytesIO(tab.screenshot())).convert("RGB")


def paint(tab, name: str) -> tuple[int, int, int]:
    return ImageColor.getrgb(tab.evaluate(f"css('{name}')"))


def distance(a, b) -> int:
    return sum(abs(x - y) for x, y in zip(a, b, strict=True))


def crowd(run, copies: int):
    """The run, with ``copies`` more of every network around each one of its front."""
    front = run.front()
    around = pd.concat([front] * copies, ignore_index=True)
    away = 1 + np.random.default_rng(0).uniform(0, 0.02, len(around))
    around = around.assign(
        accuracy=around["accuracy"] / away, latency_ms=around["latency_ms"] * away
    )
    return replace(
        run,
        trials=pd.concat([run.trials, around], ignore_index=True).assign(
            trial=lambda df: df.index
        ),
    )


def test_the_front_and_the_selection_lie_above_thousands_of_points(
    report, tmp_path, tab
):
    run = crowd(load_run(report.parent), 600)
    assert len(run.trials) > 2000
    write_report(run, tmp_path / "report.html")
    tab.goto((tmp_path / "report.html").as_uri())
    if not tab.evaluate("webgl()"):
        pytest.skip("this chromium has no WebGL")
    tab.evaluate("select(data.trials.trial[data.trials.front.indexOf(1)])")
    tab.evaluate("$('scatter').scrollIntoView({behavior: 'instant'})")
    tab.wait_for_timeout(200)
    seen = pixels(tab)
    front, ink, crowd_colour = (
        paint(tab, f"--{n}") for n in ("front", "ink", "complete")
    )
    for x, y in tab.evaluate(CENTRES, "on the front"):
        colour = seen.getpixel((round(x), round(y)))
        # another network's ring may run through a centre
        above = min(distance(colour, front), distance(colour, ink))
        assert above < distance(colour, crowd_colour), (x, y, colour)
    ((x, y),) = tab.evaluate(CENTRES, "selected")
    for dx, dy in ((1, 0), (0, 1), (0, -1), (-1, 0)):
        spoke = [
            seen.getpixel((round(x + r * dx), round(y + r * dy))) for r in range(8, 14)
        ]
        assert min(distance(colour, ink) for colour in spoke) < 40, spoke
