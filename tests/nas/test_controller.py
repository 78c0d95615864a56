from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nas.budget import Budget, Plateau
from nas.controller import RETRIES, Controller
from nas.samplers.proposer import Proposer
from nas.samplers.registry import make_sampler
from nas.stopper.asha import MultiObjectiveASHA, NoStopping
from results import EventLog
from results.limits import Limit
from results.log.events import SearchStarted
from results.runs.tables import fold_events
from search_spaces import get_space

OBJECTIVES = {"accuracy": "max", "flops": "min"}
NARROW = {
    "depth1": 1, "depth2": 1, "depth3": 1, "depth4": 1, "width1": 8, "width2": 8, "width3": 16,
    "bottleneck_width": 64, "cardinality": 1, "stem_width": 8, "deep_stem": True, "avg_down": True,
    "avd": True, "avd_first": False, "radix": 1,
}  # fmt: skip
PRODUCES = [("flops",), ("latency_ms",), ("accuracy",)]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with EventLog(tmp_path / "events.db") as log:
        yield log


def controller(
    log: EventLog, budget: Budget | int = 2, *, space: Any = None, **settings: Any
) -> Controller:
    budget = Budget(trials=budget) if isinstance(budget, int) else budget
    proposer = Proposer(
        space or get_space("resnest"), OBJECTIVES, make_sampler("random", 0)
    )
    settings = {"stopper": NoStopping(), "seed": 7, "produces": PRODUCES} | settings
    return Controller(proposer, log, budget, **settings)


def run(
    made: Controller, epochs: int = 4, until: Callable[[], bool] = lambda: False
) -> None:
    """Drive one trial at a time; some are better than those before, some worse."""
    while not until() and (work := made.next()):
        metrics: list[dict[str, Any]] = [
            {"flops": 100.0 - work.trial},
            {"latency_ms": 1.0 + work.trial},
        ]
        metrics += [
            {"epoch": e, "accuracy": (work.trial * 5 % 7 + e / 10) / 100}
            for e in range(1, epochs + 1)
        ]
        for values in metrics[work.skip :]:
            if until():
                return
            if not made.report(work.trial, values):
                break
        else:
            made.finish(work.trial)


def kinds(log: EventLog, trial: int) -> list[str]:
    return [event.kind for event in log if event.trial == trial]


def test_everything_that_happens_is_in_the_log_in_order(log: EventLog) -> None:
    made = controller(log)
    work = made.next()
    assert work is not None
    assert made.report(work.trial, {"flops": 5})
    assert made.report(work.trial, {"epoch": 1, "accuracy": 0.5})
    made.finish(work.trial)

    events = list(log)
    assert [event.kind for event in events] == [
        "proposed",
        "measured",
        "epoch",
        "finished",
    ]
    assert events[0].data["arch"] == work.arch.to_dict()
    assert events[0].data["arch_id"] == work.arch.id
    assert events[0].data["seed"] == work.seed == 7
    assert events[0].data["knobs"]["radix"] == events[0].data["arch"]["radix"]
    assert events[3].data == {"status": "complete", "error": None}


def test_it_hands_out_as_many_as_asked_for(log: EventLog) -> None:
    made = controller(log, 3)
    assert [made.next() is None for _ in range(5)] == [False, False, False, True, True]
    assert not made.over, "they are running"
    for trial in range(3):
        made.finish(trial, "no reason")
    assert made.over
    assert made.reason == "3 trials done"


def test_an_unmeasured_objective_fails_the_trial_with_its_name(log: EventLog) -> None:
    made = controller(log, 3)
    for metrics in ({"flops": 5}, {"flops": 5, "accuracy": float("nan")}):
        work = made.next()
        assert work is not None
        made.report(work.trial, metrics)
        made.finish(work.trial)
    errors = [event.data["error"] for event in log if event.kind == "finished"]
    assert errors == [
        "objective accuracy was not measured",
        "objective accuracy came out as no finite number",
    ]
    assert set(made.ended.values()) == {"failed"}


def test_listeners_hear_what_the_log_holds(log: EventLog) -> None:
    heard = []
    made = controller(log)
    made.listeners = [heard.append]
    made.commit(SearchStarted(None, {"trials": 2}))
    work = made.next()
    assert work is not None
    made.finish(work.trial, "the network cannot be built")
    assert heard == list(log)


def test_whoever_breaks_a_limit_stops_there(log: EventLog) -> None:
    made = controller(log, 3, limits={"latency_ms": Limit(max=1.5)})
    run(made)
    assert made.ended == {0: "complete", 1: "infeasible", 2: "infeasible"}
    assert kinds(log, 1) == ["proposed", "measured", "measured", "finished"]
    trials = fold_events(log).trials
    assert trials["error"][1] == "latency_ms 2 is outside the limit <= 1.5"


def test_the_stopper_stops(log: EventLog) -> None:
    stopper = MultiObjectiveASHA({"accuracy": "max"}, max_epochs=4, eta=2)
    made = controller(log, 4, stopper=stopper)
    for work in [made.next() for _ in range(4)]:
        assert work is not None
        accuracy = (4 - work.trial) / 10  # each worse than those before
        going = made.report(
            work.trial, {"flops": 1.0, "epoch": 1, "accuracy": accuracy}
        )
        if going:
            made.report(work.trial, {"epoch": 2, "accuracy": accuracy})
            made.finish(work.trial)
    assert set(made.ended.values()) == {"complete", "stopped"}
    assert kinds(log, 3) == ["proposed", "epoch", "decision", "finished"]


def test_what_is_put_aside_is_promoted_or_stopped_in_the_end(log: EventLog) -> None:
    stopper = MultiObjectiveASHA(
        {"accuracy": "max"}, max_epochs=4, eta=2, mode="promote"
    )
    made = controller(log, 6, stopper=stopper)
    run(made)
    assert made.over
    made.close()
    trials, epochs, _ = fold_events(log)
    assert set(trials["status"]) == {"complete", "stopped"}
    assert (trials.loc[trials["status"] == "complete", "epochs"] == 4).all()
    assert trials["epochs"].min() == 1
    assert not epochs.duplicated(["trial", "epoch"]).any()


def test_epochs_told_again_are_not_logged_again(log: EventLog) -> None:
    made = controller(log)
    work = made.next()
    assert work is not None
    for epoch in (1, 2, 1, 2, 3):
        assert made.report(work.trial, {"flops": 1.0, "epoch": epoch, "accuracy": 0.5})
    assert [event.data["epoch"] for event in log if event.kind == "epoch"] == [1, 2, 3]


def test_a_lost_trial_goes_to_another_worker_so_often(log: EventLog) -> None:
    made = controller(log, 1)
    for loss in range(RETRIES + 1):
        work = made.next()
        assert work is not None
        assert work.trial == 0
        if loss == 0:
            made.report(0, {"flops": 1.0})
            made.report(0, {"latency_ms": 1.0})
            made.report(0, {"epoch": 1, "accuracy": 0.5})
        else:
            assert work.skip == 2, "flops and latency are known"
        made.lost(0, "the worker failed")
    assert made.next() is None
    assert made.ended == {0: "failed"}
    assert kinds(log, 0).count("lost") == RETRIES


def test_a_trial_that_gets_on_may_lose_any_number_of_workers(log: EventLog) -> None:
    """As on machines that are taken away every hour."""
    made = controller(log, 1)
    for epoch in range(1, 3 * RETRIES):
        assert made.next() is not None
        made.report(0, {"epoch": epoch, "accuracy": 0.5})
        made.lost(0, "the machine was taken away")
    assert not made.ended
    # told again after each start: no news
    for _ in range(RETRIES):
        assert made.next() is not None
        made.report(0, {"epoch": 1, "accuracy": 0.5})
        made.report(0, {"flops": 1.0})
        made.lost(0, "it kills its worker")
    assert made.ended == {0: "failed"}


@pytest.mark.parametrize("stopping", ["none", "stop", "promote"])
@pytest.mark.parametrize("cut", range(2, 60, 7))
def test_a_search_cut_off_anywhere_goes_on_as_if_it_had_not_been(
    tmp_path: Path, cut: int, stopping: str
) -> None:
    """One at a time there is no chance in the order, so that the whole log must be the same."""

    def made(log: EventLog) -> Controller:
        stopper = (
            NoStopping()
            if stopping == "none"
            else MultiObjectiveASHA(
                {"accuracy": "max"}, max_epochs=4, eta=2, mode=stopping
            )
        )
        return controller(
            log, 6, stopper=stopper, space=get_space("resnest", radix=[1, 2])
        )

    def history(log: EventLog) -> list[Any]:
        told = [
            (e.kind, e.trial, e.data.get("epoch"), e.data.get("status")) for e in log
        ]
        return sorted(
            (k, t, e or 0, s or "")
            for k, t, e, s in told
            if k in ("epoch", "finished", "promoted")
        )

    with EventLog(tmp_path / "whole.db") as whole:
        first = made(whole)
        run(first)
        first.close()
    with EventLog(tmp_path / "cut.db") as log:
        broken = made(log)
        run(broken, until=lambda: len(list(log)) >= cut)
    with EventLog(tmp_path / "cut.db") as log:
        again = made(log)
        again.replay(log)
        run(again)
        again.close()
        assert again.over
        finished = [event.trial for event in log if event.kind == "finished"]
        assert sorted(finished) == list(range(6)), "each once"
        with EventLog(tmp_path / "whole.db") as whole:
            # with a stopper the networks differ after the cut, and so do decisions
            if stopping == "none":
                assert history(log) == history(whole)


def test_a_damaged_history_is_named(log: EventLog) -> None:
    log.append("epoch", 3, epoch=1)
    with pytest.raises(
        ValueError, match=r"event 1 \(epoch, trial 3\) cannot be replayed"
    ):
        controller(log).replay(log)


def test_a_network_measured_before_is_answered_from_the_log(log: EventLog) -> None:
    space = get_space("resnest", **{knob: [value] for knob, value in NARROW.items()})
    made = controller(log, 10, space=space)
    run(made)
    trials = fold_events(log).trials
    assert made.exhausted
    assert made.reason == "the space holds no further networks"
    assert (trials["status"] == "complete").sum() == 5, "width4 is free"
    duplicates = trials[trials["status"] == "duplicate"]
    for row in duplicates.itertuples():
        original = trials[
            (trials["arch_id"] == row.arch_id) & (trials["status"] == "complete")
        ].iloc[0]
        assert (row.flops, row.accuracy) == (original["flops"], original["accuracy"])


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(epochs=10), "10 epochs trained"),
        (Budget(trials=5, epochs=1000), "5 trials done"),
        (
            Budget(plateau=Plateau(3, gain=10.0)),
            "the hypervolume grew by less than 1000.00% in the last 3",
        ),
    ],
)
def test_what_ends_a_search(log: EventLog, budget: Budget, reason: str) -> None:
    made = controller(log, budget, reference_point={"accuracy": 0.0, "flops": 200.0})
    run(made)
    assert made.over
    assert (made.reason or "").startswith(reason)


def test_hours_count_work_and_leave_trials_to_resume(tmp_path: Path) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 60.0
        return now[0]

    with EventLog(tmp_path / "events.db", clock=lambda: now[0]) as log:
        made = controller(log, Budget(hours=0.5), clock=clock)
        run(made)
        assert made.over
        assert made.reason == "0.5 hours worked"
        assert made.trials[max(made.trials)].status == "interrupted"
        now[0] += 1e6  # a pause is not work
        more = controller(log, Budget(hours=1.0), clock=clock)
        more.replay(log)
        assert not more.over
        assert 1700 < more.spending.seconds < 3600
        work = more.next()
        assert work is not None
        assert work.trial == max(made.trials)


@pytest.mark.parametrize("epoch", [{}, {"epoch": 1}])
def test_a_text_for_an_objective_fails_the_trial_and_stays_out_of_the_tables(
    log: EventLog, epoch: dict[str, int]
) -> None:
    made = controller(log, limits={"latency_ms": Limit(max=1.5)})
    for metrics in ({"accuracy": "good"}, {"latency_ms": "short"}):
        work = made.next()
        assert work is not None
        assert not made.report(work.trial, metrics | epoch)
    trials = fold_events(log).trials
    assert list(trials["status"]) == ["failed"] * 2
    assert list(trials["error"]) == [
        "accuracy must be a number, got 'good'", "latency_ms must be a number, got 'short'"
    ]  # fmt: skip


def test_a_limited_metric_that_is_nan_fails_the_trial(log: EventLog) -> None:
    made = controller(log, limits={"latency_ms": Limit(max=1.5)})
    assert made.next() is not None
    assert made.report(0, {"flops": 1.0, "latency_ms": float("nan"), "accuracy": 0.5})
    made.finish(0)
    assert (
        fold_events(log).trials["error"][0]
        == "latency_ms, which has a limit, came out as no finite number"
    )


def test_epochs_outside_a_limit_are_no_rivals_after_a_replay_either(
    log: EventLog,
) -> None:
    def made() -> Controller:
        stopper = MultiObjectiveASHA({"accuracy": "max"}, max_epochs=4, eta=2)
        return controller(log, 3, limits={"memory": Limit(max=5)}, stopper=stopper)

    first = made()
    for _ in range(2):
        assert first.next() is not None
    assert not first.report(0, {"epoch": 1, "accuracy": 0.9, "flops": 1.0, "memory": 9})
    again = made()
    again.replay(log)
    assert again.next() is not None
    assert again.report(1, {"epoch": 1, "accuracy": 0.1, "flops": 1.0, "memory": 1})
