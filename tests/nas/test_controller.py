from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nas.controller import Controller
from nas.proposer import Proposer
from nas.samplers import make_sampler
from results import EventLog
from search_spaces import get_space

OBJECTIVES = {"accuracy": "max", "flops": "min"}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with EventLog(tmp_path / "events.db") as log:
        yield log


def controller(log: EventLog, trials: int = 2) -> Controller:
    proposer = Proposer(get_space("resnest"), OBJECTIVES, make_sampler("random", 0))
    return Controller(proposer, log, trials=trials, seed=7)


def test_everything_that_happens_is_in_the_log_in_order(log: EventLog) -> None:
    made = controller(log)
    proposal = made.propose()
    assert proposal is not None
    made.report(proposal.trial, {"flops": 5})
    made.report(proposal.trial, {"epoch": 1, "accuracy": 0.5})
    made.finish(proposal.trial)

    events = list(log)
    assert [event.kind for event in events] == ["proposed", "measured", "epoch", "finished"]
    assert events[0].data["arch"] == proposal.arch.to_dict()
    assert events[0].data["arch_id"] == proposal.arch.id
    assert events[0].data["seed"] == 7
    assert events[0].data["knobs"]["radix"] == events[0].data["arch"]["radix"]
    assert events[3].data == {"status": "complete", "error": None}


def test_it_proposes_as_many_as_asked_for(log: EventLog) -> None:
    made = controller(log, trials=3)
    assert [made.propose() is None for _ in range(5)] == [False, False, False, True, True]
    assert not made.exhausted


def test_an_unmeasured_objective_fails_the_trial_with_its_name(log: EventLog) -> None:
    made = controller(log, trials=3)
    for metrics in ({"flops": 5}, {"flops": 5, "accuracy": float("nan")}):
        proposal = made.propose()
        assert proposal is not None
        made.report(proposal.trial, metrics)
        made.finish(proposal.trial)
    errors = [event.data["error"] for event in log if event.kind == "finished"]
    assert errors == [
        "objective accuracy was not measured (got None)",
        "objective accuracy was not measured (got nan)",
    ]
    assert set(made.finished.values()) == {"failed"}


def test_listeners_hear_what_the_log_holds(log: EventLog) -> None:
    heard = []
    made = controller(log)
    made.listeners = [lambda kind, trial, data: heard.append((kind, trial, dict(data)))]
    made.emit("search_started", config={"trials": 2})
    proposal = made.propose()
    assert proposal is not None
    made.finish(proposal.trial, "the worker process died")
    assert heard == [(event.kind, event.trial, event.data) for event in log]
