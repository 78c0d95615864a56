"""Every check on runs that are made to be odd in that way, and on one that is not."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from results import Run, load_front
from results.runs.health import health

RNG = np.random.default_rng


def made(folder: Path, count: int = 40, **columns: Any) -> Run:
    """A run in which nothing is odd, but for the ``columns``."""
    rng, start = RNG(0), pd.Timestamp("2026-01-01", tz="UTC")
    latency = np.linspace(1, 3, count)
    rng.shuffle(latency)
    trials = pd.DataFrame(
        {
            "trial": np.arange(count),
            "status": "complete",
            "accuracy": 0.3 + 0.2 * latency + rng.normal(0, 0.08, count),
            "latency_ms": latency,
            "latency_iqr_ms": 0.02,
            "epochs": 3,
            "error": pd.array([pd.NA] * count, dtype="string"),
            "device": "cpu",
            "finished": [start + pd.Timedelta(seconds=i) for i in range(count)],
            "arch.width": rng.choice([8, 16, 32], count),
        }
        | columns
    )
    curve = [
        (t, e, a * e / 3)
        for t, a in zip(trials["trial"], trials["accuracy"], strict=True)
        for e in (1, 2, 3)
    ]
    epochs = pd.DataFrame(curve, columns=["trial", "epoch", "accuracy"])
    return Run(
        path=folder,
        trials=trials,
        epochs=epochs,
        retrained=pd.DataFrame(),
        config={},
        objectives={"accuracy": "max", "latency_ms": "min"},
        ended=None,
        seconds=3600.0,
    )


def topics(run: Run) -> list[str]:
    return [finding.topic for finding in health(run)]


def some(count: int, value: Any, other: Any, share: float) -> list[Any]:
    return [value if i < share * count else other for i in range(count)]


def test_a_sound_run_gives_no_finding(tmp_path):
    assert health(made(tmp_path)) == []


@pytest.mark.parametrize("rows", [0, 1])
def test_too_little_is_no_finding(tmp_path, rows):
    run = made(tmp_path)
    assert health(replace(run, trials=run.trials.head(rows))) == []


def test_noise_is_that_of_a_simulated_binomial(tmp_path):
    """Networks that are all equally good differ by chance alone, and a check must not be talked out of it."""
    rng, images = RNG(1), 250
    alike = rng.binomial(images, 0.8, 40) / images
    run = made(tmp_path, accuracy=alike)
    run = replace(run, config={"data": {"name": "x", "validation": 0.25}})
    counts = {"images": {"images": {"cat": 600, "dog": 400}}}
    run = replace(run, environment=counts)
    (finding,) = (f for f in health(run) if f.topic == "validation noise")
    assert "250 validation images is good to ±2.5 points" in finding.seen
    apart = run.trials.assign(accuracy=np.linspace(0.5, 0.95, 40))
    assert "validation noise" not in topics(replace(run, trials=apart))


def test_spread_latencies(tmp_path):
    run = made(tmp_path, latency_iqr_ms=0.5)
    assert topics(run) == ["latency spread"]


def test_duplicates(tmp_path):
    run = made(tmp_path, 60, status=some(60, "duplicate", "complete", 0.5))
    (finding,) = health(run)
    assert (finding.topic, "30 of 60" in finding.seen) == ("duplicates", True)


@pytest.mark.parametrize(
    ("status", "share", "topic", "words"),
    [
        ("failed", 0.2, "failures", "failed"),
        ("infeasible", 0.5, "limits", "ended over a limit"),
    ],
)
def test_failures_by_their_most_frequent_reason(tmp_path, status, share, topic, words):
    errors = [f"out of memory at {i} MB" for i in range(60)]
    errors[0] = "disk full"
    run = made(
        tmp_path,
        60,
        status=some(60, status, "complete", share),
        error=pd.array(errors, dtype="string"),
    )
    (finding,) = health(run)
    lost = round(60 * share)
    assert finding.topic == topic
    assert finding.seen.startswith(
        f"{lost} of 60 networks {words}, {lost - 1} of them for: out of memory"
    )


def test_a_knob_at_its_edge(tmp_path):
    run = made(tmp_path)
    front = set(run.front()["trial"])
    assert len(front) >= 5
    width = [32 if t in front else [8, 16, 32][t % 3] for t in run.trials["trial"]]
    (finding,) = health(replace(run, trials=run.trials.assign(**{"arch.width": width})))
    assert (
        f"{len(front)} of {len(front)} networks of the front have width 32"
        in finding.seen
    )
    assert "space.width" in finding.advice


def front_first(run: Run) -> Run:
    on_front = run.trials["trial"].isin(run.front()["trial"])
    order = run.trials.index[np.argsort(~on_front, kind="stable")]
    times = pd.Series(run.trials["finished"].to_numpy(), index=order)
    return replace(run, trials=run.trials.assign(finished=times))


def test_a_plateau_and_its_opposite(tmp_path):
    run = made(tmp_path, 80)
    (flat,) = health(front_first(run))
    assert flat.topic == "plateau"
    assert f"the last {80 - len(run.front())} of 80" in flat.seen
    rising = made(tmp_path, accuracy=np.linspace(0.3, 0.9, 40))
    assert "still rising" in topics(replace(rising, ended="40 trials done"))
    assert "still rising" not in topics(rising), "it still runs"


def stopped_at_first(run: Run, early: Iterable[float]) -> Run:
    """A fifth stopped after epoch 1, where accuracies were ``early``."""
    status = ["stopped" if i % 5 == 0 else "complete" for i in range(len(run.trials))]
    trials = run.trials.assign(
        status=status, epochs=[1 if s == "stopped" else 3 for s in status]
    )
    first = run.epochs["epoch"] == 1
    epochs = run.epochs.copy()
    epochs.loc[first, "accuracy"] = list(early)
    return replace(run, trials=trials, epochs=epochs)


def test_a_rung_that_stops_by_lot(tmp_path):
    run = made(tmp_path)
    fair = stopped_at_first(run, run.trials["accuracy"] / 3)
    assert health(fair) == []
    (finding,) = health(stopped_at_first(run, RNG(3).uniform(0.1, 0.2, 40)))
    assert finding.topic == "stopping by lot"
    assert "after epoch 1" in finding.seen
    assert "min_epochs" in finding.advice


def test_unused_hours(tmp_path):
    run = replace(made(tmp_path), config={"stop": {"hours": 8}}, ended="40 trials done")
    (finding,) = (f for f in health(run) if f.topic == "unused budget")
    assert "12% of its 8 hours" in finding.seen
    assert "unused budget" not in topics(replace(run, ended="interrupted"))


def test_few_networks_on_the_front(tmp_path):
    run = made(tmp_path, latency_ms=1.0)
    assert "few networks on the front" in topics(run)


def test_the_published_search_says_how_sure_it_is():
    found = {
        finding.topic: str(finding) for finding in health(load_front("cifar10-small"))
    }
    assert "±1.6 points" in found["validation noise"]
    assert "stopping by lot" not in found, "tau at half of the training was 0.64"
