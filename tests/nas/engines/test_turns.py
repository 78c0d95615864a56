"""Turns of an engine: one commit for all that comes while the disk writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("ray")

from ray.tune.experiment import Trial

from nas.budget import Budget
from nas.controller import Controller
from nas.engines.ray_nodes import AllNodes
from nas.engines.ray_room import Demand, Room
from nas.engines.ray_tune import Relay
from nas.engines.turns import Turns
from nas.samplers.proposer import Proposer
from nas.samplers.registry import make_sampler
from nas.stopper.asha import NoStopping
from results import Event, MemoryLog
from results.log.events import Content
from search_spaces import get_space

SYNC = 0.1


class SlowLog(MemoryLog):
    """Of every transaction it knows how many events it had; ``clock`` moves on with each."""

    def __init__(self) -> None:
        super().__init__(clock=lambda: self.now)
        self.now, self.commits = 0.0, list[int]()
        self._open = False

    def time(self) -> float:
        return self.now

    def commit(self, contents: Sequence[Content]) -> list[Event]:
        with self.transaction():
            return super().commit(contents)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self._open:
            yield
            return
        self._open, before = True, len(self.events)
        try:
            yield
        finally:
            self._open = False
        if added := len(self.events) - before:
            self.commits.append(added)
            self.now += SYNC


@pytest.fixture
def log() -> SlowLog:
    return SlowLog()


@pytest.fixture
def controller(log: SlowLog) -> Controller:
    space = get_space("resnest", radix=[1, 2])
    proposer = Proposer(space, {"flops": "min"}, make_sampler("random", 0))
    return Controller(
        proposer, log, Budget(trials=8), stopper=NoStopping(), clock=log.time
    )


def test_a_turn_is_one_commit_and_listeners_hear_after_it(
    log: SlowLog, controller: Controller
) -> None:
    heard: list[int] = []
    controller.listeners.append(lambda event: heard.append(len(log.commits)))
    turns = Turns(controller, log.time)
    with turns.turn():
        work = turns.work(idle=3)
        assert not heard
    assert len(work) == 3
    assert log.commits == [3]
    assert heard == [1, 1, 1]


def slow_asks(
    log: SlowLog,
    controller: Controller,
    seconds: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ask = controller.proposer.ask

    def slowly() -> Any:
        log.now += seconds
        return ask()

    monkeypatch.setattr(controller.proposer, "ask", slowly)


def test_the_next_turn_waits_while_more_results_may_come(
    log: SlowLog, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_asks(log, controller, 0.05, monkeypatch)
    turns = Turns(controller, log.time)
    assert turns.wait() == 0
    with turns.turn():
        turns.work(idle=1)
    assert turns.wait() == pytest.approx(3 * (0.05 + SYNC)), "a quarter is its work"
    log.now += 3 * (0.05 + SYNC)
    assert turns.wait() == 0
    with turns.turn():
        turns.work(idle=4)
    assert turns.wait() == pytest.approx(0.5), "no worker waits longer"


def test_proposals_that_take_long_do_not_keep_others_waiting(
    log: SlowLog, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_asks(log, controller, 0.3, monkeypatch)
    turns = Turns(controller, log.time)
    with turns.turn():
        assert len(turns.work(idle=8)) == 2
    assert turns.wait() == 0, "there are workers left to be given something"


class Tune:
    """Tune's loop with results that lie ready, and what was done with its trials afterwards."""

    def __init__(self, log: SlowLog) -> None:
        self.ready: list[Any] = []
        self.done: list[tuple[str, int, int]] = []
        self._staged_trials: set[Any] = set()
        none = SimpleNamespace(_tracked_futures={})
        self._actor_manager = SimpleNamespace(
            next=self._next, _actor_state_events=none, _actor_task_events=none
        )
        self._log = log

    def _next(self, timeout: float) -> bool:
        ready, self.ready = self.ready, []
        for tell in ready:
            tell()
        return bool(ready)

    def _schedule_trial_train(self, trial: Any) -> None:
        self.done.append(("train", trial.config["trial"], len(self._log.commits)))

    def stop_trial(self, trial: Any) -> None:
        self.done.append(("stop", trial.config["trial"], len(self._log.commits)))


class Workers(Room):
    """So many, without a cluster."""

    def __init__(self, count: int) -> None:
        super().__init__(cpus=1, gpus=0, nodes=AllNodes())
        self.count = count

    def now(self) -> int:
        return self.count


class Asked(Demand):
    """What a cluster would be asked for."""

    def ask(self, what: str, bundle: dict[str, float], times: int) -> None:
        self.times = times


class FakeTrial(SimpleNamespace):
    """Tune's trials are keys."""

    __hash__ = object.__hash__


def trial(number: int, status: str = Trial.RUNNING, **settings: Any) -> Any:
    return FakeTrial(config={"trial": number, **settings}, status=status)


def test_results_that_lie_ready_share_a_commit_and_are_acted_on_after_it(
    log: SlowLog, controller: Controller
) -> None:
    relay = Relay(controller, Workers(4), demand := Asked())
    relay.tune = tune = Tune(log)
    begun = [relay.assignment() for _ in range(4)]
    assert [work.trial for work in begun if work] == [0, 1, 2, 3]
    assert log.commits == [4]
    assert demand.times == controller.state.spending.budget.trials
    relay.segments |= {"a", "b", "c", "d"}

    def told(number: int, flops: Any, status: str = Trial.RUNNING) -> None:
        relay.result(trial(number, status), {"flops": flops})

    tune.ready = [lambda: told(1, "many"), lambda: told(2, 2.0, Trial.ERROR)]
    tune.ready.append(lambda: relay.end(lambda: controller.lost(2, "gone")))
    told(0, 1.0)
    relay.end_of_round()
    assert tune.done == [("train", 0, 2), ("stop", 1, 2)], "its worker is gone: not 2"
    kinds = [(event.kind, event.trial) for event in log.events[4:]]
    assert kinds == [
        ("measured", 0), ("finished", 1), ("measured", 2), ("lost", 2),
    ]  # fmt: skip
    again = relay.assignment()
    assert again is not None, (
        "trial 1 left room, and trial 2 goes on with another worker"
    )
    assert again.trial == 2
    assert log.commits == [4, 4], "what is handed out was decided in the same commit"


class OneProven(AllNodes):
    """Of two nodes one has passed its probe; ``proven`` changes when the other has."""

    proven = frozenset({"first"})


def test_a_trial_kept_from_a_node_is_placed_again_when_that_may_train(
    log: SlowLog, controller: Controller
) -> None:
    relay = Relay(controller, Workers(1), Asked())
    relay.tune = tune = Tune(log)
    relay.room.nodes = nodes = OneProven()
    work = relay.assignment()
    assert work is not None
    how = {"arch": work.arch.to_dict(), "seed": work.seed, "skip": work.skip}
    waiting, running = trial(0, Trial.PENDING, **how), trial(1, **how)
    relay.kept_from = dict.fromkeys((waiting, running), frozenset({"second", "third"}))
    relay.place_again()
    assert not tune.done
    assert list(relay.kept_from) == [waiting], "the other has a worker"
    nodes.proven |= {"second"}
    relay.place_again()
    assert tune.done == [("stop", 0, 1)]
    assert relay.assignment() == work
    assert not relay.kept_from


def test_what_the_controller_raises_is_kept_and_nothing_is_acted_on(
    log: SlowLog, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = Relay(controller, Workers(1), Asked())
    relay.tune = tune = Tune(log)
    assert relay.assignment() is not None

    def full(contents: Sequence[Content]) -> list[Event]:
        raise OSError("no space left on device")

    monkeypatch.setattr(log, "commit", full)
    relay.result(trial(0), {"flops": 1.0})
    relay.end_of_round()
    assert isinstance(relay.broken, OSError)
    assert not tune.done
    assert relay.assignment() is None
