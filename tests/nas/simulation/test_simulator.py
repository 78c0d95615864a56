from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from nas.samplers.proposer import Proposer
from nas.samplers.registry import make_sampler
from nas.simulation.outcome import Simulation, common_reference, compare_outcomes
from nas.simulation.simulator import simulate
from nas.simulation.synthetic import SyntheticWorkload
from nas.simulation.virtual_cluster import Cluster
from nas.simulation.workload import RandomRows, Recorded, RowProposal
from nas.stopper.asha import make_stopper
from results import EventLog, hypervolume, load_run
from run_search import main
from search_spaces import complexity, get_space

BOTH = {"accuracy": "max", "flops": "min"}


def table(count: int = 60, epochs: int = 9, seconds: float = 10.0) -> Recorded:
    """Curves of known shape: the limit grows with the cost, some learn late."""
    rng = np.random.default_rng(0)
    flops = rng.uniform(1, 10, count)
    limit, tau = (
        0.5 + 0.04 * flops + rng.normal(0, 0.05, count),
        rng.uniform(0.5, 3, count),
    )
    curves = limit[:, None] * (1 - np.exp(-np.arange(1, epochs + 1) / tau[:, None]))
    return Recorded(pd.DataFrame({"flops": flops}), curves, seconds)


def run(
    stopper: str = "none",
    workers: int = 4,
    rows: Recorded | None = None,
    **options: Any,
) -> Simulation:
    rows = rows or table()
    name, _, mode = stopper.partition(" ")
    made = make_stopper(name, BOTH, rows.epochs, {"mode": mode} if mode else {})
    budget = {
        name: options.pop(name)
        for name in ("hours", "trials", "epochs")
        if name in options
    }
    cluster = Cluster(workers=workers, **options)
    return simulate(
        RandomRows(len(rows)), made, rows, cluster, **(budget or {"trials": 1000})
    )


class TestTheClock:
    def test_without_trouble_it_is_plain_arithmetic(self) -> None:
        done = run(workers=4)
        assert done.seconds == 60 / 4 * 9 * 10.0
        assert done.utilisation == pytest.approx(1.0)
        assert done.exhausted
        assert done.trials["status"].eq("complete").all()
        assert done.segments["epochs"].sum() == 60 * 9

    def test_trials_queue_for_the_latency_device(self) -> None:
        """One device, 100 s each: after the first 100 s it alone sets the pace."""
        done = run(workers=60, latency_seconds=100.0)
        assert done.seconds == 60 * 100 + 90
        assert (
            run(workers=60, latency_seconds=100.0, latency_devices=2).seconds
            == 30 * 100 + 90
        )

    def test_stragglers_take_longer_by_their_slowdown(self) -> None:
        assert run(workers=60, stragglers=1.0, slowdown=5.0).seconds == 5 * 90

    def test_failures_end_trials(self) -> None:
        done = run(failures=0.1)
        failed = done.trials[done.trials["status"] == "failed"]
        assert 20 < len(failed) < 55
        assert (failed["epochs"] < 9).all()

    def test_preemption_costs_time_and_no_trial(self) -> None:
        done = run(preemptions=20.0, outage_seconds=60.0)
        assert done.trials["status"].eq("complete").all()
        assert done.utilisation < 0.85
        assert done.seconds > run().seconds

    def test_the_deadline_cuts_what_is_running(self) -> None:
        done = run(workers=4, hours=100 / 3600)
        assert done.seconds == 100
        assert done.trials["status"].value_counts()["running"] == 4
        assert done.trials["status"].value_counts()["complete"] == 4
        assert done.utilisation == pytest.approx(1.0)

    def test_epochs_end_it_too(self) -> None:
        assert run(epochs=100).segments["epochs"].sum() == 100


TROUBLE: dict[str, Any] = {
    "failures": 0.02,
    "stragglers": 0.1,
    "preemptions": 5.0,
    "latency_seconds": 3.0,
}


@pytest.mark.parametrize("stopper", ["none", "asha", "moasha", "moasha promote"])
def test_the_same_twice(stopper: str) -> None:
    first, second = run(stopper, **TROUBLE), run(stopper, **TROUBLE)
    pd.testing.assert_frame_equal(first.trials, second.trials)
    pd.testing.assert_frame_equal(first.segments, second.segments)


@pytest.mark.parametrize("stopper", ["asha", "moasha", "moasha promote"])
def test_stopping_saves_epochs_and_counts_every_trial_once(stopper: str) -> None:
    done = run(stopper, **TROUBLE)
    assert sorted(done.trials["trial"]) == list(range(60))
    assert done.segments["epochs"].sum() == done.trials["epochs"].sum() < 0.6 * 60 * 9
    assert done.trials["status"].isin(["complete", "stopped", "paused", "failed"]).all()
    assert len(done.complete) > 1
    assert (done.complete["epochs"] == 9).all()


def test_the_proposer_hears_of_every_end() -> None:
    told: list[tuple[int, str]] = []

    class Listening(RandomRows):
        def ask(self) -> RowProposal | None:
            draw = super().ask()
            return draw._replace(duplicate_of=0) if draw and draw.trial == 5 else draw

        def tell(self, trial: int, status: str, metrics: Any) -> None:
            assert status == "failed" or metrics.keys() == {
                "flops",
                "accuracy",
                "epoch",
            }
            told.append((trial, status))

    rows = table()
    stopper = make_stopper("moasha", BOTH, 9)
    done = simulate(Listening(60), stopper, rows, Cluster(failures=0.02), trials=60)
    assert done.trials["status"][5] == "duplicate"
    assert sorted(told) == [
        pair for pair in enumerate(done.trials["status"]) if pair[0] != 5
    ]


def test_the_real_proposer_runs_under_the_clock() -> None:
    space = get_space("regnety")
    proposer = Proposer(space, BOTH, make_sampler("nsga2", 0, {"population_size": 10}))
    stopper = make_stopper("moasha", BOTH, 9)
    done = simulate(
        proposer, stopper, SyntheticWorkload(space, pool=5), Cluster(), trials=40
    )
    assert len(done.trials) == 40
    assert done.trials["status"].isin(["complete", "stopped", "duplicate"]).all()


def test_the_timeline_ends_with_the_whole() -> None:
    done = run("moasha", **TROUBLE)
    reference = common_reference({"it": done}, BOTH)
    timeline = done.timeline(BOTH, reference, points=50)
    assert timeline["hypervolume"].is_monotonic_increasing
    assert timeline["epochs"].is_monotonic_increasing
    last = timeline.iloc[-1]
    assert last["hypervolume"] == pytest.approx(
        hypervolume(done.complete, BOTH, reference)
    )
    assert last["epochs"] == pytest.approx(done.segments["epochs"].sum())
    assert last["complete"] == len(done.complete)
    assert timeline["utilisation"].mean() == pytest.approx(done.utilisation)


class TestSurrogate:
    def test_costs_are_the_real_ones(self) -> None:
        space = get_space("regnety")
        arch = space.sample(np.random.default_rng(0))
        made = SyntheticWorkload(space, pool=5).trajectory(arch)
        assert made.costs["macs"] == complexity(arch).macs
        assert made == SyntheticWorkload(space, pool=5).trajectory(arch)
        assert (
            made.accuracy
            != SyntheticWorkload(space, seed=1, pool=5).trajectory(arch).accuracy
        )

    def test_curves_rise_and_cross(self) -> None:
        made = SyntheticWorkload(get_space("regnety"), pool=50)
        curves = np.array([made.trajectory(row).accuracy for row in range(3000)])
        assert ((curves >= 0) & (curves <= 1)).all()
        assert (np.diff(curves.mean(axis=0)) > 0).all()
        agreement = pd.DataFrame(curves[:, [0, -1]]).rank().corr().iloc[0, 1]
        assert 0.3 < agreement < 0.9

    def test_multi_objective_asha_needs_fewer_epochs_for_the_same_hypervolume(
        self,
    ) -> None:
        done = {}
        for name in ("none", "moasha"):
            made = SyntheticWorkload(get_space("regnety"), 27, pool=100)
            stopper = make_stopper(name, BOTH, 27)
            done[name] = simulate(
                RandomRows(), stopper, made, Cluster(workers=8), epochs=27 * 800
            )
        compared = compare_outcomes(done, BOTH, common_reference(done, BOTH))
        assert (
            compared.loc["moasha", "epochs_to_first"]
            < 0.9 * compared.loc["none", "epochs"]
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 12 trials, one of which was stopped early and one failed."""
    path: Path = tmp_path_factory.mktemp("run")
    with EventLog(path / "events.db") as log:
        log.append("search_started", None, objectives=BOTH, config={})
        for trial in range(12):
            log.append(
                "proposed",
                trial,
                arch_id=f"{trial}",
                space="resnest",
                arch={},
                knobs={},
                seed=0,
            )
            log.append("measured", trial, flops=10 - trial)
            for epoch in range(1, 2 if trial in (3, 4) else 5):
                log.append(
                    "epoch",
                    trial,
                    epoch=epoch,
                    accuracy=0.1 * epoch - 0.01 * trial,
                    seconds=2.0,
                )
            status = {3: "stopped", 4: "failed"}.get(trial, "complete")
            log.append(
                "finished", trial, status=status, error="x" if trial == 4 else None
            )
    return path


class TestRecordedRun:
    def test_complete_trials_alone_are_taken(self, folder: Path) -> None:
        rows = Recorded.of_run(load_run(folder), list(BOTH))
        assert (len(rows), rows.epochs) == (10, 4)
        first = rows.trajectory(0)
        assert first.accuracy == pytest.approx([0.1, 0.2, 0.3, 0.4])
        assert (first.costs, first.seconds) == ({"flops": 10}, 2.0)

    def test_a_metric_it_lacks_is_named(self, folder: Path) -> None:
        with pytest.raises(ValueError, match="no complete trial has latency_ms"):
            Recorded.of_run(load_run(folder), ["accuracy", "latency_ms"])


class TestCommand:
    def test_compares_stoppers_on_a_recorded_run(
        self, folder: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "curves.html"
        arguments = ["simulate", str(folder), "--workers", "2", "--out", str(out)]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        assert "moasha" in result.output
        assert "The run holds 10 complete trials" in result.output
        assert "workers training" in out.read_text()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "simulate needs a run folder or --surrogate SPACE"),
            (["--surrogate", "resnet"], "resnet"),
            (
                ["--surrogate", "regnety", "--workers", "0"],
                "workers must be at least 1, got 0",
            ),
            (
                ["--surrogate", "regnety", "--failures", "2"],
                "failures must be at least 0 and at most 1, got 2",
            ),
            (
                ["--surrogate", "regnety", "--hours", "-1"],
                "hours must be positive, got -1",
            ),
            (
                ["--surrogate", "regnety", "--hours", "0.001"],
                "no simulated trial was trained to its end",
            ),
            (
                ["--surrogate", "regnety", "--stopper", "moasha,eta"],
                "'eta' needs the form option=value",
            ),
            (
                ["--surrogate", "regnety", "--epochs", "0"],
                "epochs must be at least 1, got 0",
            ),
            (
                ["--surrogate", "regnety", "--epoch-seconds", "nan"],
                "seconds must be positive, got nan",
            ),
        ],
    )
    def test_bad_input_is_named_in_one_line(
        self, arguments: list[str], message: str
    ) -> None:
        result = CliRunner().invoke(main, ["simulate", *arguments])
        assert result.exit_code == 2
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
