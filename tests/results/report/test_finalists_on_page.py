"""The full trainings on a report's page."""

import json

import pytest

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


def test_a_search_without_finalists_shows_none(searched):
    assert page_of(searched).data["finalists"] is None


@pytest.mark.parametrize("text", ["half a", "[]", '{"verdict": [], "networks": [1]}'])
def test_finalists_that_cannot_be_read_are_named(searched, text):
    folder = searched.path.parent / "finalists"
    folder.mkdir()
    (folder / "finalists.json").write_text(text)
    with pytest.raises(ValueError, match=r"finalists\.json: cannot be read"):
        page_of(searched)
