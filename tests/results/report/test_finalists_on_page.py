"""The full trainings on a report's page."""

import json

import pandas as pd
import pytest

from results import EventLog
from results.runs.finalists_table import finalists_table
from tests.results.report.pages import page_of

NETWORK = {
    "network": "trial 3",
    "role": "finalist",
    "proxy_accuracy": 0.5,
    "accuracy": 1.0,
    "accuracy_error": 0.004,
    "seeds": 2,
    "latency_ms": 3.0,
    "flops": 1.5e6,
    "status": "complete",
    "epochs": 9,
    "on_front": True,
    "front_probability": 0.9,
}
STOPPED = {
    "network": "resnest14d",
    "role": "published",
    "latency_ms": None,
    "flops": 2e6,
    "accuracy": 0.9,
    "status": "stopped",
    "epochs": 4,
    "on_front": False,
}


def test_finalists_stand_beside_what_the_search_said_of_them(searched):
    folder = searched.path.parent / "finalists"
    folder.mkdir()
    verdict = ["A BASELINE WINS: it <b>does</b>.", "The short trainings did not rank."]
    absent = dict.fromkeys(NETWORK.keys() - STOPPED.keys())
    content = {"verdict": verdict, "networks": [NETWORK, STOPPED | absent]}
    (folder / "finalists.json").write_text(json.dumps(content))
    page = page_of(searched)
    shown = page.data["finalists"]
    assert shown["verdict"] == verdict
    assert page.data["summary"][0] == verdict[0]
    assert verdict[0] in page.texts, "before any script"
    table = [dict(zip(shown["headings"], row, strict=True)) for row in shown["rows"]]
    assert table[0] == {
        "network": "trial 3",
        "in the search (%)": "50.00",
        "in full (%)": "100.0 ± 0.40",
        "on test (%)": "\N{EN DASH}",
        "seeds": "2",
        "latency (ms)": "3.000",
        "FLOPs": "1.5 M",
        "on the front (probability)": "yes (90%)",
    }
    assert table[1]["network"] == "resnest14d (published)"
    assert table[1]["latency (ms)"] == table[1]["seeds"] == "\N{EN DASH}"
    assert table[1]["on the front (probability)"] == "stopped after 4 epochs"


@pytest.mark.parametrize(
    ("status", "epochs", "told"),
    [
        ("stopped", 1, "stopped after 1 epoch"),
        ("running", 2.0, "not finished after 2 epochs"),
        ("failed", None, "failed"),
    ],
)
def test_how_far_a_training_came_is_said(status, epochs, told):
    row = {**NETWORK, "status": status, "epochs": epochs}
    _, rows = finalists_table(pd.DataFrame([row]), {"accuracy": "max"})
    assert rows[0][-1] == told


def test_a_search_without_finalists_shows_none(searched):
    assert page_of(searched).data["finalists"] is None


@pytest.mark.parametrize("text", ["half a", "[]", '{"verdict": [], "networks": [1]}'])
def test_finalists_that_cannot_be_read_are_named(searched, text):
    folder = searched.path.parent / "finalists"
    folder.mkdir()
    (folder / "finalists.json").write_text(text)
    with pytest.raises(ValueError, match=r"finalists\.json: cannot be read"):
        page_of(searched)


def test_each_training_is_named_and_the_best_of_several_seeds_is_no_mean(tmp_path, tab):
    folder = tmp_path / "finalists"
    folder.mkdir()
    knobs = {
        "depth1": 1,
        "depth2": 3,
        "operator1_1": "k3",
        "operator1_2": "<b>skip</b>",
        "radix": 2,
    }
    trainings = enumerate([(0, 0.7), (1, 0.9)])
    with EventLog(folder / "events.db") as log:
        log.append("search_started", config={}, objectives={"accuracy": "max"})
        for trial, (seed, accuracy) in trainings:
            values = {"seed": seed, "arch": knobs, "knobs": {"family": "own", **knobs}}
            log.append("proposed", trial, arch_id="one", space="own", **values)
            log.append("measured", trial, network="random 2", search_trial=5)
            log.append("epoch", trial, epoch=1, accuracy=accuracy)
            log.append("finished", trial, status="complete", error=None)
    data = page_of(log).data
    assert data["trials"]["names"] == ["random 2, seed 0", "random 2, seed 1"]
    assert data["tiles"][0] == ["90.00", "best accuracy (%), one training"]
    assert "trial in the search" in [each["label"] for each in data["metrics"]]
    tab.goto((folder / "report.html").as_uri())
    assert "random 2, seed 1" in tab.inner_text("#networks tbody")
    assert "random 2, seed 1" in tab.evaluate("hover(1)")
    words = tab.evaluate(
        "alike(Object.entries(data.trials.knobs).map(([name, column]) => [name, column[0]]))"
    )
    assert words == "family own, depth 1-3, operator k3-<b>skip</b>, radix 2"
