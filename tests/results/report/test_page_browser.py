"""The report in headless Chromium: what a reader sees and does."""

import shutil
import threading

import pytest

from nas.cli.report_server import make_server
from results import EventLog, load_run
from tests.results.report.shown_pages import (
    COUNTS,
    PLACE_OF_FIRST_ON_FRONT,
    STAGES,
    add_trial,
    drawn,
    rows,
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
