"""The report in headless Chromium: what its charts claim, and that they claim no more."""

import math

import pytest

from results import EventLog, load_run, write_report
from tests.results.report.shown_pages import add_trial, drawn, make_run


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
