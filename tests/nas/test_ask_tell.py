"""One's own loop over the same log, limits, stopper and resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import nas
from results import load_run
from search_spaces import Task, complexity

DIGITS = Task(num_classes=10, resolution=8, channels=1, small_images=True)


def config(*settings: str) -> nas.SearchConfig:
    plain = [
        "trials=6",
        "objectives={quality: max, flops: min}",
        "reference_point=null",
        "sampler=random",
        "stopper=none",
        "training.epochs=4",
    ]
    return nas.load_config("quick", [*plain, *settings])


def quality(work: Any, epoch: int = 1) -> dict[str, float]:
    return {"epoch": epoch, "quality": complexity(work.arch).params * epoch}


def test_a_loop_of_ones_own_leaves_a_whole_run(tmp_path: Path) -> None:
    with nas.AskTell(config(), tmp_path / "run") as search:
        asked = []
        while work := search.ask():
            asked.append(work)
            assert search.report(work.trial, quality(work))
            search.finish(work.trial)
        best = search.best()
    run = load_run(tmp_path / "run")
    assert [work.trial for work in asked] == list(range(6))
    assert list(run.trials["status"]) == ["complete"] * 6
    assert list(run.trials["flops"]) == [
        complexity(work.arch, DIGITS).flops for work in asked
    ]
    assert list(best["trial"]) == list(run.front()["trial"])
    assert (tmp_path / "run" / "report.html").exists()


def test_what_is_killed_goes_on(tmp_path: Path) -> None:
    first = nas.AskTell(config(), tmp_path / "run")
    done, out = first.ask(), first.ask()
    assert done
    assert out
    first.report(done.trial, quality(done))
    first.finish(done.trial)
    first.report(out.trial, quality(out))
    first._opened.close()  # type: ignore[union-attr]  # the lock and the log, as a killed process leaves them
    with nas.AskTell(config("trials=7"), tmp_path / "run") as again:
        assert again.ask() == out
        again.finish(out.trial)
        others = list(iter(again.ask, None))
    assert len({work.arch.id for work in [done, out, *others]}) == 7
    assert list(load_run(tmp_path / "run").trials["status"][:2]) == [
        "complete",
        "complete",
    ]


def test_the_stopper_and_the_limits_decide(tmp_path: Path) -> None:
    settings = ["stopper={name: moasha, eta: 2}", "limits={latency_ms: 5}", "trials=12"]
    with nas.AskTell(config(*settings), tmp_path / "run") as search:
        while work := search.ask():
            if work.trial == 3:
                assert not search.report(work.trial, {"latency_ms": 6.0})
                continue
            assert search.report(work.trial, {"latency_ms": 4.0})
            if all(
                search.report(work.trial, quality(work, epoch)) for epoch in range(1, 5)
            ):
                search.finish(work.trial)
    statuses = load_run(tmp_path / "run").trials["status"]
    assert statuses[3] == "infeasible"
    assert {"complete", "stopped"} <= set(statuses)


def test_a_lost_trial_is_handed_out_again_twice(tmp_path: Path) -> None:
    with nas.AskTell(config("trials=1"), tmp_path / "run") as search:
        works = []
        while work := search.ask():
            works.append(work)
            search.lost(work.trial, "the machine is gone")
    assert [work.trial for work in works] == [0, 0, 0]
    assert list(load_run(tmp_path / "run").trials["status"]) == ["failed"]


def test_an_error_and_a_missing_objective_fail_a_trial(tmp_path: Path) -> None:
    with nas.AskTell(config("trials=2"), tmp_path / "run") as search:
        for error in ("it broke", None):
            work = search.ask()
            assert work
            search.finish(work.trial, error)
    trials = load_run(tmp_path / "run").trials
    assert list(trials["status"]) == ["failed", "failed"]
    assert trials["error"][0] == "it broke"
    assert "quality" in trials["error"][1]


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with nas.AskTell(config(), folder) as search:
        with pytest.raises(ValueError, match="another search is at work"):
            nas.AskTell(config(), folder)
        for call in (search.report, search.finish, search.lost):
            with pytest.raises(ValueError, match="trial 7 was not handed out"):
                call(7, {})  # type: ignore[operator]
    with pytest.raises(ValueError, match="is closed"):
        search.ask()
    with pytest.raises(
        ValueError, match="run: seed cannot change when a search goes on"
    ):
        nas.AskTell(config("seed=9"), folder)
    (tmp_path / "other").mkdir()
    with pytest.raises(ValueError, match="exists already"):
        nas.AskTell(config(), tmp_path / "other")
