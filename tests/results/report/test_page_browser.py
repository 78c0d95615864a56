"""The report in headless Chromium: what a reader sees and does."""

import math
import shutil
import threading
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageColor

from nas.cli.report_server import make_server
from results import EventLog, load_run, write_report

api = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install playwright"
)

STAGES = [
    {"name": "stem", "depth": 1, "width": 8, "resolution": 32},
    {
        "name": "stage 1",
        "depth": 3,
        "width": 64,
        "resolution": 16,
        "radix": 2,
        "cardinality": 1,
    },
]
COUNTS = {"complete": 30, "stopped": 20, "failed": 5, "running": 2}
PLACE_OF_FIRST_ON_FRONT = """(() => {
    const chart = $('scatter'), box = chart.getBoundingClientRect(), inner = chart._fullLayout;
    const front = chart.data.find(trace => trace.name === 'on the front');
    const x = inner._size.l + inner.xaxis.l2p(front.x[0]), y = inner._size.t + inner.yaxis.l2p(front.y[0]);
    return [box.x + x, box.y + y, front.customdata[0]];
})()"""
VISIBLE = "trace => trace.x.filter(v => v !== null).length"


def add_trial(log: EventLog, trial: int, status: str) -> None:
    knobs = {"radix": trial % 3, "note": "<img src=x onerror=alert(1)>"}
    log.append(
        "proposed",
        trial,
        arch_id=f"<b>{trial}</b>",
        space="resnest",
        arch=knobs,
        knobs=knobs,
        seed=0,
    )
    if status == "failed":
        log.append(
            "finished", trial, status="failed", error="<script>alert(1)</script>"
        )
        return
    log.append(
        "measured", trial, flops=10**6 * (trial + 1), latency_ms=1 + (trial * 7 % 31)
    )
    log.append("epoch", trial, epoch=1, accuracy=0.3 + trial / 200)
    if status == "complete":
        log.append("epoch", trial, epoch=2, accuracy=0.5 + (trial * 5 % 29) / 100)
    if status != "running":
        log.append("finished", trial, status=status, error=None)


def make_run(folder: Path) -> Path:
    folder.mkdir()
    with EventLog(folder / "events.db") as log:
        objectives = {"accuracy": "max", "latency_ms": "min", "flops": "min"}
        log.append(
            "search_started",
            config={"data": "digits", "trials": 60},
            objectives=objectives,
        )
        for trial, status in enumerate(
            name for name, count in COUNTS.items() for _ in range(count)
        ):
            add_trial(log, trial, status)
    return folder


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip(
            "there is no chromium on this machine (Debian, Ubuntu: apt install chromium)"
        )
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=[
                *("--disable-gpu", "--enable-unsafe-swiftshader", "--no-sandbox"),
                "--disable-background-networking",
            ],
        )
        yield browser
        browser.close()


def serious(message) -> bool:
    """What a driver says of its speed in software is not the page's doing."""
    return (
        message.type in ("error", "warning") and "GL Driver Message" not in message.text
    )


@pytest.fixture
def tab(browser):
    """Opens an address; what the console has to say about it fails the test."""
    complaints, context = (
        [],
        browser.new_context(viewport={"width": 1200, "height": 900}),
    )
    page = context.new_page()
    page.on("console", lambda m: complaints.append(m.text) if serious(m) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
    yield page
    context.close()
    assert not complaints


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("runs") / "a run & <i>its name")
    path = folder / "report.html"
    write_report(load_run(folder), path, stages=lambda arch: STAGES)
    return path


def drawn(page, chart: str = "scatter") -> dict[str, int]:
    """Points of each trace, by name."""
    return dict(page.evaluate(f"$('{chart}').data.map(t => [t.name, ({VISIBLE})(t)])"))


def rows(page) -> list[int]:
    return page.evaluate(
        "[...document.querySelectorAll('#networks tbody tr')].map(r => +r.dataset.trial)"
    )


def test_every_measured_network_is_a_point_and_every_chart_is_drawn(report, tab):
    tab.goto(report.as_uri())
    points, front = drawn(tab), load_run(report.parent).front()
    assert points["on the front"] == len(front)
    assert points["trained to the end"] == COUNTS["complete"] - len(front)
    assert "stopped" not in points, "its accuracy is not one of the end"
    assert rows(tab) == front["trial"].tolist()
    assert tab.locator("#scatter .scatterlayer .points path.point").count() == 30
    assert tab.evaluate("$('curves')._fullLayout.xaxis.dtick") == 1, (
        "there are no half epochs"
    )
    assert tab.evaluate("$('trend').layout.xaxis.ticktext") == [
        f"{radix}<br>n = {count}" for radix, count in ((0, 17), (1, 18), (2, 17))
    ]
    for chart in ("hypervolume", "curves", "trend", "edf"):
        assert tab.locator(f"#{chart} svg.main-svg").count(), chart
    assert "<script>alert(1)</script>" in tab.inner_text("#failures")
    assert "5 of 57 networks failed" in tab.inner_text("#health")
    assert tab.inner_text("h1") == "a run & <i>its name"
    assert tab.locator("i, img, td b").count() == 0, "nothing of the run is markup"


def test_the_reader_chooses_axes_outcomes_and_limits(report, tab):
    tab.goto(report.as_uri())
    tab.select_option("#x", "flops")
    assert tab.evaluate(
        "[$('scatter').layout.xaxis.title.text, $('scatter').layout.xaxis.type]"
    ) == [
        "FLOPs",
        "log",
    ]
    tab.select_option("#at", "last")
    assert drawn(tab)["stopped"] == COUNTS["stopped"]
    tab.uncheck("input[value=stopped]")
    assert "stopped" not in drawn(tab)
    assert tab.inner_text("#shown") == "37 of 57 networks pass."
    tab.click("#limits summary")
    most = tab.get_by_label("FLOPs at most")
    most.fill("5.5M")
    assert tab.inner_text("#shown") == "5 of 57 networks pass."
    tab.select_option("#rows", "all")
    assert sorted(rows(tab)) == [0, 1, 2, 3, 4]
    most.fill("many")
    assert most.get_attribute("aria-invalid") == "true"
    assert tab.inner_text("#shown") == "37 of 57 networks pass."
    most.fill("5M")
    tab.click("#no-limits")
    assert most.input_value() == ""
    assert tab.inner_text("#page") == "page 1 of 2"
    tab.click("#next")
    assert len(rows(tab)) == 12
    tab.select_option("#colour", "flops")
    assert tab.locator("#scatter .colorbar").count() == 1
    tab.select_option("#colour", "k radix")
    assert tab.locator("#scatter .colorbar").count() == 0
    assert {"radix 0", "radix 1", "radix 2"} <= set(drawn(tab))


def test_a_click_shows_stages_and_the_command_that_retrains(report, tab):
    tab.goto(report.as_uri())
    tab.locator("#scatter .scatterlayer .trace").last.wait_for(state="attached")
    tab.evaluate("$('scatter').scrollIntoView()")
    x, y, trial = tab.evaluate(PLACE_OF_FIRST_ON_FRONT)
    tab.mouse.move(x, y)
    tab.locator("#scatter .hoverlayer .hovertext").wait_for()
    assert f"trial {trial}, complete" in tab.text_content("#scatter .hoverlayer")
    tab.mouse.click(x, y)
    tab.locator("#detail h3").wait_for()
    assert tab.inner_text("#detail h3") == f"Trial {trial}"
    assert tab.locator("#detail .stages li").count() == len(STAGES)
    assert "radix 2, cardinality 1" in tab.inner_text("#detail .stages")
    assert tab.inner_text("#detail code").endswith(f"--trial {trial}")
    assert (
        tab.locator(f"tr[data-trial='{trial}']").get_attribute("aria-current") == "true"
    )


def test_all_of_it_works_from_the_keyboard(report, tab):
    tab.goto(report.as_uri())
    tab.focus("#scatter")
    tab.keyboard.press("ArrowRight")
    first = tab.inner_text("#detail h3")
    tab.keyboard.press("ArrowRight")
    assert tab.inner_text("#detail h3") != first
    tab.keyboard.press("ArrowLeft")
    assert tab.inner_text("#detail h3") == first
    tab.focus("#networks tbody tr:nth-child(2) button")
    tab.keyboard.press("Enter")
    assert tab.inner_text("#detail h3") == f"Trial {rows(tab)[1]}"
    tab.focus("#networks thead th:nth-child(1) button")
    tab.keyboard.press("Enter")
    assert rows(tab) == sorted(rows(tab))
    tab.keyboard.press("Enter")
    assert rows(tab) == sorted(rows(tab), reverse=True), "the heading keeps the focus"
    unnamed = "e => !(e.labels?.length || e.ariaLabel || e.textContent.trim())"
    assert (
        tab.evaluate(
            f"[...document.querySelectorAll('button, select, input')].filter({unnamed}).length"
        )
        == 0
    )


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    ]
    return sum(
        weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True)
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_contrast_in_either_scheme(report, tab, scheme):
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    tab.emulate_media(color_scheme=scheme)
    tab.goto(report.as_uri())
    assert tab.evaluate("$('scatter').layout.font.color === css('--ink')")
    for ink in ("--ink", "--soft", "--accent", "--best", "--bad"):
        for ground in ("--ground", "--card"):
            dark, light = sorted(
                luminance(tab.evaluate(f"css('{name}')")) for name in (ink, ground)
            )
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


def test_a_phone_shows_it_without_scrolling_sideways(report, tab):
    tab.set_viewport_size({"width": 360, "height": 740})
    tab.goto(report.as_uri())
    tab.click("#limits summary")
    tab.click("#networks tbody button")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_live_page_takes_in_what_is_new_and_keeps_the_readers_choices(
    report, tmp_path, tab
):
    folder = shutil.copytree(report.parent, tmp_path / "run")
    with make_server(folder) as server:
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}
        )
        thread.start()
        try:
            tab.goto(f"http://127.0.0.1:{server.server_address[1]}/")
            tab.select_option("#x", "flops")
            tab.uncheck("input[value=stopped]")
            tab.click("#networks tbody button")
            selected = tab.inner_text("#detail h3")
            with EventLog(folder / "events.db") as log:
                add_trial(log, 57, "complete")
            tab.get_by_text("38 of 58 networks pass.").wait_for()
            assert tab.inner_text("#detail h3") == selected
            assert tab.evaluate("[$('x').value, state.hidden.has('stopped')]") == [
                "flops",
                True,
            ]
            assert tab.inner_text("#live").startswith("live · as of")
        finally:
            tab.goto("about:blank")
            server.shutdown()
            thread.join()


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


def test_nothing_is_cut_off_on_paper(report, tab):
    """A printer is a reader, too: what the page looks like when chromium makes a PDF of it."""
    tab.emulate_media(color_scheme="dark")
    tab.goto(report.as_uri())
    tab.evaluate("""addEventListener('beforeprint', () => { window.printed = {
        page: document.body.getBoundingClientRect().right,
        width: document.body.clientWidth,
        charts: [...document.querySelectorAll('.chart .main-svg')].map(svg => svg.getBoundingClientRect().right),
        tables: [...document.querySelectorAll('table')].map(table => table.getBoundingClientRect().right),
        ground: css('--ground'), ink: $('scatter').layout.font.color }; })""")
    tab.pdf(format="A4")
    printed = tab.evaluate("printed")
    assert printed["width"] <= 794, "A4 at 96 dots an inch"
    assert len(printed["charts"]) >= 5
    assert max(printed["charts"] + printed["tables"]) <= printed["page"]
    assert (printed["ground"], printed["ink"]) == ("#fbfbf9", "#1d2327")
    assert not tab.evaluate("paper()")
    width = (
        "$('scatter').clientWidth - $('scatter').querySelector('.main-svg').clientWidth"
    )
    assert abs(tab.evaluate(width)) <= 2, "the screen has its chart back"


def test_effects_are_those_of_all_networks_until_the_reader_wants_the_survivors(
    report, tab
):
    tab.goto(report.as_uri())
    assert "none had been stopped yet" in tab.inner_text("#trends-note")
    assert tab.evaluate("$('edf').layout.xaxis.title.text") == "error (%) after epoch 1"
    tab.select_option("#trend-population", "1")
    for note in ("#trends-note", "#distribution-note"):
        assert "20 of 57 networks were stopped early" in tab.inner_text(note)
        assert "survivors" in tab.inner_text(note)
    assert tab.evaluate("$('edf').layout.xaxis.title.text") == "error (%)"
    assert tab.input_value("#edf-population") == "1", "both charts show the same"


def test_accuracies_compare_at_one_epoch(report, tab):
    tab.goto(report.as_uri())
    assert "22 of them were not trained to the end" in tab.inner_text("#shown")
    tab.select_option("#at", "1")
    points = drawn(tab)
    assert (points["stopped"], points["running"]) == (20, 2)
    assert tab.evaluate("$('scatter').layout.yaxis.title.text") == (
        "accuracy (%) after epoch 1"
    )
    heights = "$('scatter').data.filter(t => t.mode === 'markers').flatMap(t => t.y)"
    assert max(tab.evaluate(heights)) == pytest.approx(100 * (0.3 + 56 / 200))


READ_AS = {
    "100,000": 100_000,
    "1,234,567": 1_234_567,
    "20,5": 20.5,
    "0,125": 0.125,
    "20M": 20e6,
    "1,000k": 1e6,
    "": None,
}


def test_limits_and_landmarks_say_what_they_are(report, tab):
    tab.goto(report.as_uri())
    assert tab.evaluate("t => t.map(parseNumber)", list(READ_AS)) == [*READ_AS.values()]
    assert math.isnan(tab.evaluate("parseNumber('1,2,3')"))
    tab.click("#limits summary")
    tab.get_by_label("FLOPs at most").fill("5,500,000")
    assert tab.inner_text("#limits-note") == "(FLOPs at most 5.5 M)"
    assert tab.inner_text("#shown").startswith("5 of 57 networks pass.")
    # axe's landmark-unique and nested-interactive
    names = tab.evaluate(
        """[...document.querySelectorAll('section, aside, [role=region]')].map(e =>
        e.ariaLabel ?? document.getElementById(e.getAttribute('aria-labelledby'))?.textContent)"""
    )
    named = [name for name in names if name]
    assert len(set(named)) == len(named)
    assert tab.locator("[role=img] :is(a, button, [tabindex])").count() == 0


def test_one_network_has_no_empty_charts(tmp_path, tab):
    folder = tmp_path / "run"
    folder.mkdir()
    with EventLog(folder / "events.db") as log:
        objectives = {"accuracy": "max", "latency_ms": "min", "flops": "min"}
        log.append("search_started", config={}, objectives=objectives)
        add_trial(log, 0, "complete")
    write_report(load_run(folder), folder / "report.html")
    tab.goto((folder / "report.html").as_uri())
    shown = tab.evaluate(
        "[...document.querySelectorAll('.chart')].filter(c => c.offsetParent).map(c => c.id)"
    )
    assert shown == ["scatter", "curves"]
    assert "hypervolume" not in tab.inner_text("#tiles")
    assert "there is no hypervolume yet" in tab.inner_text("#summary")


def test_families_have_colours_and_filters_of_their_own(tmp_path, tab):
    folder = tmp_path / "run"
    folder.mkdir()
    with EventLog(folder / "events.db") as log:
        log.append(
            "search_started", config={}, objectives={"accuracy": "max", "flops": "min"}
        )
        for trial in range(12):
            family = ("resnest", "regnety")[trial % 2]
            knobs = {"family": family, f"{family}.depth": trial, "<b>": 1}
            log.append(
                "proposed",
                trial,
                arch_id=f"{trial}",
                space=family,
                arch={},
                knobs=knobs,
                seed=0,
            )
            log.append("measured", trial, flops=10**6 * (trial + 1))
            log.append("epoch", trial, epoch=1, accuracy=0.3 + trial / 50)
            log.append("finished", trial, status="complete", error=None)
    write_report(load_run(folder), folder / "report.html")
    tab.goto((folder / "report.html").as_uri())
    assert tab.input_value("#colour") == "k family"
    marker = "$('scatter').data.find(t => t.name === 'on the front' && t.x.length > 1).marker.color"
    assert len(set(tab.evaluate(marker))) == 2
    headings = (
        "[...document.querySelectorAll('#networks thead th')].map(h => h.textContent)"
    )
    assert tab.evaluate(headings)[-2:] == ["family", "knobs"]
    cell = tab.locator("#networks tbody tr[data-trial='3'] td").last.inner_text()
    assert cell == "<b> 1, depth 3"
    tab.uncheck("input[value=regnety]")
    assert tab.evaluate(headings)[-3:] == ["family", "resnest.depth", "<b>"]
    assert tab.inner_text("#shown") == "6 of 12 networks pass."


def test_names_of_the_run_are_no_markup_in_charts(tmp_path, tab):
    folder = make_run(tmp_path / "run")
    with EventLog(folder / "events.db") as log:
        for trial in range(60, 70):
            knobs = {"<b>act</b>": ["<i>relu</i>", "gelu"][trial % 2]}
            log.append(
                "proposed",
                trial,
                arch_id="x",
                space="s",
                arch=knobs,
                knobs=knobs,
                seed=0,
            )
            log.append("measured", trial, flops=trial, latency_ms=1.0)
            log.append("epoch", trial, epoch=1, accuracy=0.5)
            log.append("finished", trial, status="complete", error=None)
    write_report(load_run(folder), folder / "report.html")
    tab.goto((folder / "report.html").as_uri())
    tab.select_option("#knob", "<b>act</b>")
    tab.select_option("#split", "<b>act</b>")
    tab.select_option("#colour", "k <b>act</b>")
    for chart in ("trend", "edf", "scatter"):
        text = tab.evaluate(f"$('{chart}').textContent")
        assert "<i>relu</i>" in text, chart
        assert tab.locator(f"#{chart} tspan[style*=italic]").count() == 0
