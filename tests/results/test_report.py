import json
import re
from html.parser import HTMLParser

import pytest

from results import load_run, wording, write_report

EVIL = "</script><script>alert(1)</script>"


class Page(HTMLParser):
    """The tags, ids, texts and scripts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.texts, self.scripts, self.ids = [], [], [], []
        self.in_script = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids.append(dict(attrs).get("id"))
        if tag == "script":
            self.scripts.append("")
        self.in_script = tag == "script"

    def handle_endtag(self, tag):
        self.in_script = False

    def handle_data(self, data):
        if self.in_script:
            self.scripts[-1] += data
        else:
            self.texts.append(data)

    @property
    def data(self):
        return json.loads(self.scripts[0], parse_constant=pytest.fail)


def page_of(log) -> Page:
    path = log.path.parent / "report.html"
    write_report(load_run(log.path.parent), path)
    return Page(path.read_text(encoding="utf-8"))


def test_every_front_network_and_every_failure_is_on_the_page(log, start, add):
    start()
    for number in range(6):
        add(
            number,
            accuracies=(0.5 + number / 20,),
            status="complete",
            flops=1 + number,
            latency_ms=1.0 + number,
        )
    add(6, accuracies=(0.2,), status="complete", flops=9, latency_ms=9.0)
    add(7, status="failed", error="out of memory")
    page = page_of(log)
    assert [name for name in page.ids if name and name.startswith("trial-")] == [
        f"trial-{n}" for n in range(5, -1, -1)
    ]
    assert [trial["front"] for trial in page.data["trials"]] == [True] * 6 + [False]
    assert [metric["name"] for metric in page.data["metrics"]][:3] == ["accuracy", "latency_ms", "flops"]
    assert page.data["trials"][0]["values"]["accuracy"] == 50.0
    assert len(page.data["curves"]) == 7
    assert {"radix", "stem", "id3", "75.00", "out of memory"} <= set(page.texts)
    text = " ".join(page.texts)
    assert "8 networks of resnest on digits" in text
    assert "7 trained to the end, 1 failed" in text
    assert "6 networks on the Pareto front" in text


def test_nothing_of_the_run_becomes_markup(log, start, add):
    start(note=EVIL)
    add(0, accuracies=(0.5,), status="complete", flops=1, latency_ms=1.0, device=EVIL, **{EVIL: 1.0})
    add(1, status="failed", error=EVIL)
    knobs = {EVIL: EVIL}
    log.append("proposed", 2, arch_id=EVIL, space=EVIL, arch=knobs, knobs=knobs, seed=0)
    log.append("measured", 2, flops=1, latency_ms=1.0, device=EVIL)
    log.append("epoch", 2, epoch=1, accuracy=0.9)
    log.append("finished", 2, status="complete")
    page = page_of(log)
    assert [tag for tag, _ in page.tags].count("script") == 3
    assert EVIL in page.texts
    assert any(EVIL in line for line in page.data["trials"][1]["hover"])


def test_the_page_needs_no_network(log, start, add):
    start()
    add(0, accuracies=(0.5,), status="complete", flops=1, latency_ms=1.0)
    page = page_of(log)
    assert not [attributes for _, attributes in page.tags if "src" in attributes or "href" in attributes]
    assert "Plotly" in page.scripts[1]


def test_a_run_without_a_complete_trial_says_so(log, start, add):
    start()
    empty = page_of(log)
    add(0, accuracies=(0.5,))
    running = page_of(log)
    for page in (empty, running):
        text = " ".join(page.texts)
        assert "still running, or was interrupted" in text
        assert "No network has been trained to the end yet" in text
        assert page.data["trials"] == []


def test_a_log_without_a_start_still_gives_a_page(log, add):
    add(0, accuracies=(0.5,), status="complete")
    assert "The log names no objectives" in " ".join(page_of(log).texts)


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("accuracy", 0.97222, "97.22"),
        ("flops", 4_113_000_000, "4.113 G"),
        ("params", 12, "12"),
        ("latency_ms", 3.14159, "3.142"),
        ("latency_ms", None, "\N{EN DASH}"),
        ("energy", 0.0, "0"),
        ("energy", 1.5e9, "1.500e+09"),
    ],
)
def test_numbers_read_well(metric, value, text):
    assert wording.number(metric, value) == text


def test_durations_read_well():
    assert [wording.duration(s) for s in (3.2, 252, 7500)] == ["3 s", "4 min 12 s", "2 h 5 min"]


def test_labels_carry_units():
    labels = [wording.label(name) for name in ("accuracy", "latency_ms", "flops", "energy")]
    assert labels == ["accuracy (%)", "latency (ms)", "FLOPs", "energy"]
    assert not re.search(r"\s{2}", wording.with_unit("energy", 1.0))
