"""A search goes on from any log: this version's, those before, and those cut off between two events."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nas import SearchConfig, resume
from nas.budget import Budget
from nas.config.loading import load_config
from nas.controller import Controller
from nas.runs.stages import write_run_report
from nas.samplers.proposer import Proposer
from nas.samplers.registry import make_sampler
from nas.stopper.asha import MultiObjectiveASHA, NoStopping
from results import Event, MemoryLog, TrialStatus, load_run
from results.limits import Limit
from results.log.event_log import read_events
from search_spaces import get_space

RECORDED = Path(__file__).parent / "run_before_transactions"
OBJECTIVES = {"accuracy": "max", "flops": "min"}
SPACE = get_space("resnest", radix=[1, 2])


def controller(
    log: MemoryLog, trials: int = 4, sampler: str = "random", **settings: Any
) -> Controller:
    proposer = Proposer(
        SPACE, OBJECTIVES, make_sampler(sampler, 0), limits=settings.get("limits")
    )
    settings = {"stopper": NoStopping()} | settings
    return Controller(proposer, log, Budget(trials=trials), **settings)


def promoting() -> MultiObjectiveASHA:
    return MultiObjectiveASHA({"accuracy": "max"}, max_epochs=4, eta=2, mode="promote")


def finish(made: Controller, trial: int) -> None:
    made.report(trial, {"flops": 100.0 - trial, "accuracy": 0.5})
    made.finish(trial)


def test_a_duplicate_cut_off_after_its_first_event_is_finished_by_the_next_driver() -> (
    None
):
    log = MemoryLog()
    first = controller(log)
    assert first.next() is not None
    finish(first, 0)
    original = log.events[0]
    half = Event(
        len(log.events) + 1, 9.0, "proposed", 1, {**original.data, "duplicate_of": 0}
    )
    log.events.append(half)
    for trials in (2, 3):
        again = controller(log, trials)
        again.replay(list(log))
        assert again.trials[1].status is TrialStatus.DUPLICATE
        assert again.trials[1].metrics == again.trials[0].metrics
        work = again.next()
        assert work is not None
        assert work.trial == trials
        finish(again, work.trial)
    assert Counter(event.trial for event in log if event.kind == "finished") == {
        0: 1,
        1: 1,
        2: 1,
        3: 1,
    }


def test_an_epoch_cut_off_from_the_stoppers_answer_is_answered_in_the_replay() -> None:
    log = MemoryLog()
    first = controller(log, stopper=promoting())
    assert first.next() is not None
    assert not first.report(0, {"flops": 1.0, "epoch": 1, "accuracy": 0.5})
    assert log.events.pop().kind == "decision"

    again = controller(log, stopper=promoting())
    again.replay(list(log))
    assert again.trials[0].status is TrialStatus.PAUSED
    handed_out = [again.next() for _ in range(4)]
    assert Counter(work.trial for work in handed_out if work) == {
        0: 1,
        1: 1,
        2: 1,
        3: 1,
    }


@pytest.mark.parametrize("sampler", ["evolution", "nsga2", "nsga3", "tpe", "random"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_trial_that_diverged_does_not_keep_a_search_from_going_on(
    sampler: str, value: float
) -> None:
    def made(log: MemoryLog) -> Controller:
        return controller(log, 20, sampler, limits={"latency_ms": Limit(max=2.0)})

    log = MemoryLog()
    first = made(log)
    diverging: list[dict[str, float]] = [
        {"accuracy": value},
        {"accuracy": 0.5, "latency_ms": value},
    ]
    # outside the limit, and without an objective
    diverging.append({"accuracy": value, "latency_ms": 3.0})
    for metrics in diverging:
        work = first.next()
        assert work is not None
        first.report(work.trial, {"flops": 1.0, **metrics})
        first.finish(work.trial)
    again = made(log)
    again.replay(list(log))
    assert again.trials == first.trials
    assert list(again.ended.values()) == ["failed", "failed", "infeasible"]
    for _ in range(17):
        work = again.next()
        assert work is not None
        again.report(
            work.trial, {"flops": 1.0 + work.trial, "accuracy": 0.5, "latency_ms": 1.0}
        )
        again.finish(work.trial)
    assert again.over


def test_news_of_a_trial_that_is_over_is_refused() -> None:
    log = MemoryLog()
    made = controller(log)
    assert made.next() is not None
    finish(made, 0)
    before = list(log)
    assert not made.report(0, {"epoch": 1, "accuracy": 0.5})
    made.finish(0, "too late")
    made.lost(0, "too late")
    assert list(log) == before


def test_a_question_writes_nothing() -> None:
    log = MemoryLog()
    made = controller(log, 1, stopper=promoting())
    assert made.next() is not None
    assert not made.report(0, {"flops": 1.0, "epoch": 1, "accuracy": 0.5})
    before = list(log)
    for question in ("over", "reason", "ended", "started", "over"):
        getattr(made, question)
    assert list(log) == before
    assert made.next() is not None, "the paused trial is promoted"


def test_a_view_that_fails_does_not_end_the_search() -> None:
    def fails(event: Event) -> None:
        raise OSError("the terminal is gone")

    log, heard = MemoryLog(), []
    made = controller(log, 1, listeners=[fails, heard.append])
    assert made.next() is not None
    finish(made, 0)
    notes = [event.data["text"] for event in log if event.kind == "note"]
    assert notes == [
        "a view failed and is shown no more: OSError: the terminal is gone"
    ]
    assert sorted(event.id for event in heard) == [event.id for event in log]


def recorded_controller(log: MemoryLog, config: SearchConfig) -> Controller:
    proposer = Proposer(
        config.space.build(), config.objectives, make_sampler("random", 0)
    )
    stopper = MultiObjectiveASHA(
        config.objectives, max_epochs=config.training.epochs, eta=2, mode="promote"
    )
    return Controller(proposer, log, config.budget, stopper=stopper)


@pytest.mark.parametrize("cut", range(2, 50))
def test_a_log_of_the_version_before_goes_on_from_wherever_it_ends(cut: int) -> None:
    config, events = (
        load_config(str(RECORDED / "config.yaml")),
        read_events(RECORDED / "events.db"),
    )
    log = MemoryLog(events[:cut])
    made = recorded_controller(log, config)
    made.replay(list(log))
    kept = [
        event
        for event in log
        if event.kind in ("epoch", "decision", "finished", "promoted")
    ]
    recorded = [
        event
        for event in events
        if event.kind in ("epoch", "decision", "finished", "promoted")
    ]
    told = [(event.kind, event.trial, event.data.get("decision")) for event in kept]
    assert told == [
        (e.kind, e.trial, e.data.get("decision")) for e in recorded[: len(told)]
    ]
    running = [work.trial for work in iter(made.next, None)]
    assert len(set(running)) == len(running)
    for trial in running:
        assert not made.trials[trial].status.over


def test_a_run_folder_of_the_version_before_loads_resumes_and_reports(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(RECORDED, folder)
    assert load_run(folder).trials["status"].tolist() == ["complete"] * 6
    run = resume(folder, ["trials=7"], serial=True)
    assert run.trials["status"].tolist()[:6] == ["complete"] * 6
    assert run.trials["status"].isin(["complete", "stopped", "duplicate"]).all()
    assert run.ended == "7 trials done"
    assert write_run_report(folder) == folder / "report.html"
    assert (folder / "report.html").stat().st_size > 100_000
