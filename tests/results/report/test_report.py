import json

import pytest

from results import load_run
from results.report.charts import CURVES_AT_MOST, thinned
from results.report.overlay import FAMILIES, overlay
from results.report.page_data import page_data
from tests.results.report.pages import page_of

EVIL = "</script><script>alert(1)</script>"
MEASURES = {"flops": 1, "latency_ms": 1.0}


def test_every_network_is_in_the_data_with_its_outcome(searched):
    data = page_of(searched).data
    trials = data["trials"]
    assert trials["trial"] == list(range(12))
    assert trials["front"] == [1] * 6 + [0] * 6
    assert trials["status"][6:] == [
        "complete",
        "failed",
        "failed",
        "stopped",
        "infeasible",
        "running",
    ]
    assert [metric["name"] for metric in data["metrics"]][:3] == [
        "accuracy",
        "latency_ms",
        "flops",
    ]
    assert trials["metrics"]["accuracy"][:2] == [50.0, 55.0]
    assert trials["metrics"]["latency_ms"][10] is None, "not measured is missing, not 0"
    assert trials["knobs"] == {"radix": [2] * 12, "stem": ["deep"] * 12}
    assert data["retrain"].endswith(f"retrain {searched.path.parent} --trial {{trial}}")


def test_the_summary_stands_in_the_page_itself(searched):
    text = " ".join(page_of(searched).texts)
    assert "12 networks of resnest on digits" in text
    assert (
        "7 trained to the end, 1 stopped early, 1 over a limit, 2 failed, 1 not finished"
        in text
    )
    assert "6 networks on the Pareto front" in text


def test_hypervolume_rises_to_that_of_the_run(searched):
    run, progress = load_run(searched.path.parent), page_of(searched).data["progress"]
    assert progress["hypervolume"] == sorted(progress["hypervolume"])
    assert progress["hypervolume"][-1] == pytest.approx(run.hypervolume(), rel=1e-5)
    assert len(progress["minutes"]) == len(progress["hypervolume"])


def test_learning_curves_say_who_was_stopped(searched):
    learning = page_of(searched).data["learning"]
    assert {c["trial"]: c["status"] for c in learning["curves"] if not c["front"]} == {
        6: "complete",
        9: "stopped",
        11: "running",
    }
    assert (
        "6 of 6 front networks, 1 of 1 stopped early, 2 of 2 others" in learning["note"]
    )
    assert next(c for c in learning["curves"] if c["trial"] == 5)["value"] == [
        40.0,
        75.0,
    ]


def test_failures_that_differ_in_numbers_are_one_reason(searched):
    failures = page_of(searched).data["failures"]
    assert failures["note"] == "3 networks for 2 reasons."
    assert [(g["status"], g["count"], g["trials"]) for g in failures["groups"]] == [
        ("failed", 2, "7, 8"),
        ("infeasible", 1, "10"),
    ]
    assert failures["groups"][0]["reason"].startswith(
        "out of memory at 0x1f\n… and 1 more"
    )


def test_trends_and_distributions_split_by_knobs_that_vary(log, start, add):
    start()
    for n in range(12):
        add(n, accuracies=(0.5 + n / 40,), status="complete", **MEASURES)
        log.append(
            "proposed",
            n,
            knobs={"radix": n % 3, "stem": "deep"},
            arch_id="x",
            space="s",
            seed=0,
        )
        log.append("finished", n, status="complete")
    data = page_of(log).data
    (found,) = data["effects"]
    assert found["trends"]["knobs"] == ["radix"]
    trend = found["trends"]["table"]["radix"]["accuracy"]
    assert (trend["at"], trend["count"]) == ([0, 1, 2], [4, 4, 4])
    assert all(
        a <= b <= c
        for a, b, c in zip(trend["low"], trend["middle"], trend["high"], strict=True)
    )
    splits = found["edf"]["splits"]
    assert [line["name"] for line in splits["radix"]] == [
        "radix 0 (4)",
        "radix 1 (4)",
        "radix 2 (4)",
    ]
    assert splits[""][0]["share"][-1] == 1
    assert splits[""][0]["error"] == sorted(splits[""][0]["error"])


def test_many_curves_are_thinned_by_the_stated_rule(log, start, add):
    start()
    for n in range(CURVES_AT_MOST + 10):
        add(n, accuracies=(0.5,), status="stopped")
    learning = page_of(log).data["learning"]
    drawn = [curve["trial"] for curve in learning["curves"]]
    assert len(drawn) == CURVES_AT_MOST
    assert (drawn[0], drawn[-1]) == (0, CURVES_AT_MOST + 9)
    assert (
        f"{CURVES_AT_MOST} of {CURVES_AT_MOST + 10} stopped early" in learning["note"]
    )


def test_thinning_keeps_what_is_few():
    assert thinned(range(5), 5) == [0, 1, 2, 3, 4]
    assert thinned(range(100), 3) == [0, 50, 99]


def test_equal_stages_are_kept_once(searched):
    def stages(arch):
        return [
            {"name": "stem", "width": 8},
            {"name": "stage 1", "width": arch["radix"]},
        ]

    found = page_of(searched, stages=stages).data["stages"]
    assert found["rows"] == [
        {"name": "stem", "width": 8},
        {"name": "stage 1", "width": 2},
    ]
    assert found["of"] == [[0, 1]] * 12


def test_nothing_of_the_run_becomes_markup(log, start, add):
    start(note=EVIL)
    add(0, accuracies=(0.5,), status="complete", **MEASURES, device=EVIL, **{EVIL: 1.0})
    add(1, status="failed", error=EVIL)
    log.append(
        "proposed",
        2,
        arch_id=EVIL,
        space=EVIL,
        arch={EVIL: EVIL},
        knobs={EVIL: EVIL},
        seed=0,
    )
    log.append("measured", 2, **MEASURES, device=EVIL)
    log.append("epoch", 2, epoch=1, accuracy=0.9)
    log.append("finished", 2, status="complete")
    page = page_of(log)
    assert [tag for tag, _ in page.tags].count("script") == 3
    assert page.data["trials"]["arch_id"][2] == EVIL
    assert page.data["failures"]["groups"][0]["reason"] == EVIL
    assert any(EVIL in text for text in page.texts), (
        "the space's name is in the summary"
    )


def test_the_page_needs_no_network(searched):
    page = page_of(searched)
    links = [
        a.get("src") or a.get("href") for _, a in page.tags if "src" in a or "href" in a
    ]
    assert set(links) == {"data:,", "#networks"}
    assert "Plotly" in page.scripts[1]
    policy = next(
        a["content"]
        for tag, a in page.tags
        if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'")


def test_a_run_without_a_complete_trial_says_so(log, start, add):
    start()
    empty = page_of(log)
    add(0, accuracies=(0.5,))
    running = page_of(log)
    for page in (empty, running):
        text = " ".join(page.texts)
        assert "still running, or was interrupted" in text
        assert "No network has been trained to the end yet" in text
        assert page.data["progress"] is None
    assert running.data["learning"]["curves"][0]["status"] == "running"


def test_latencies_that_do_not_compare_give_no_front(log, start, add):
    start()
    for n, device in enumerate("AB"):
        add(n, accuracies=(0.5,), status="complete", **MEASURES, device=device)
    page = page_of(log)
    assert "There is no front: latencies of 2 devices do not compare" in " ".join(
        page.texts
    )
    assert page.data["trials"]["front"] == [0, 0]


def test_a_log_without_a_start_still_gives_a_page(log, add):
    add(0, accuracies=(0.5,), status="complete")
    assert "The log names no objectives" in " ".join(page_of(log).texts)


@pytest.mark.parametrize("text", ["{", "[1]", "\ud800"])
def test_an_unreadable_environment_is_named(searched, text):
    path = searched.path.parent / "environment.json"
    path.write_bytes(text.encode(errors="surrogatepass"))
    assert "environment.json" in page_data(load_run(path.parent))["environment"]


def imagenet_run(log, add, classes=1000):
    config = {"data": {"name": "imagenet"}}
    log.append(
        "search_started", config=config, objectives={"accuracy": "max", "flops": "min"}
    )
    add(0, accuracies=(0.5,), status="complete", **MEASURES)
    task = {"task": {"num_classes": classes, "resolution": 224}}
    (log.path.parent / "environment.json").write_text(json.dumps(task))
    return load_run(log.path.parent)


def test_public_models_stand_behind_a_run_on_imagenet(log, add):
    found = overlay(imagenet_run(log, add), "imagenet")
    assert {model["family"] for model in found["models"]} == set(FAMILIES.values())
    names = {model["model"]: model for model in found["models"]}
    resnest = next(
        model for name, model in names.items() if name.startswith("resnest50d.")
    )
    assert 80 < resnest["accuracy"] < 82, "in per cent, as the page shows the run's own"
    assert page_of(log, against=found).data["against"]["models"] == found["models"]


def test_what_does_not_compare_is_refused(log, add, searched):
    with pytest.raises(
        ValueError,
        match="--against imagenet: the public models are trained on ImageNet, this run on",
    ):
        overlay(load_run(searched.path.parent), "imagenet")
    with pytest.raises(ValueError, match="--against cifar: unknown"):
        overlay(load_run(searched.path.parent), "cifar")


def test_imagenet_with_fewer_classes_is_refused(log, add):
    with pytest.raises(ValueError, match="1000 classes apart, this run 100"):
        overlay(imagenet_run(log, add, classes=100), "imagenet")
