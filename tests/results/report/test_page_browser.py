"""The report in headless Chromium: what a reader sees and does."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

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
            args=["--disable-gpu", "--no-sandbox", "--disable-background-networking"],
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
    assert (points["stopped"], points["running"]) == (
        COUNTS["stopped"],
        COUNTS["running"],
    )
    assert rows(tab) == front["trial"].tolist()
    assert tab.locator("#scatter .scatterlayer .points path.point").count() == 52
    assert tab.evaluate("$('curves')._fullLayout.xaxis.dtick") == 1, (
        "there are no half epochs"
    )
    assert tab.evaluate("$('trend').layout.xaxis.tickvals") == [0, 1, 2]
    for chart in ("hypervolume", "curves", "trend", "edf"):
        assert tab.locator(f"#{chart} svg.main-svg").count(), chart
    assert "<script>alert(1)</script>" in tab.inner_text("#failures")
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
    assert kinds["stopped"] == "scattergl"
    assert drawn(tab)["stopped"] == 151 * COUNTS["stopped"]
    tab.select_option("#rows", "all")
    assert tab.locator("#networks tbody tr").count() == 25
