"""Every safeguard of a search, broken once: the simulated histories must find it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from nas.budget import Spending
from nas.controller import Controller
from nas.samplers.proposer import Proposer
from nas.search_state import SearchState
from nas.testing import ViolationError, simulate_history
from results import TrialStatus
from results.log.events import Content, Promoted, Proposed
from results.log.record import TrialRecord

Patch = pytest.MonkeyPatch
ENOUGH = 60
"""Histories within which a fault must be found; most are found in the first ten."""


def numbers_are_taken_as_they_come(patch: Patch) -> None:
    """NaN reaches the stopper live, and nothing in a replay."""
    patch.setattr("nas.controller.json", SimpleNamespace(loads=lambda known: known))
    patch.setattr(
        "nas.controller.strict_json", SimpleNamespace(dumps=lambda known: known)
    )


def missing_numbers_reach_the_sampler(patch: Patch) -> None:
    def settle(self: SearchState, record: TrialRecord) -> None:
        if record.status is not TrialStatus.DUPLICATE:
            self.stopper.finish(record.number)
            self.proposer.tell(record.number, record.status, record.metrics)

    patch.setattr(SearchState, "_settle", settle)


def late_news_is_taken_in(patch: Patch) -> None:
    report = Controller.report

    def take(self: Controller, trial: int, metrics: Mapping[str, Any]) -> bool:
        self.trials[trial].status = TrialStatus.RUNNING
        return report(self, trial, metrics)

    patch.setattr(Controller, "report", take)


def epochs_told_again_are_logged_again(patch: Patch) -> None:
    patch.setattr(TrialRecord, "reached", property(lambda self: 0))


def half_a_decision_is_kept(patch: Patch) -> None:
    """Of a commit of several events a kill leaves the first, and the replay does not complete it."""
    commit = Controller.commit

    def singly(self: Controller, *contents: Content) -> None:
        for content in contents:
            commit(self, content)

    patch.setattr(Controller, "commit", singly)
    patch.setattr(SearchState, "_to_follow", lambda self, content, record: [])


def promotions_are_not_replayed(patch: Patch) -> None:
    recall = SearchState.recall

    def forget(self: SearchState, event: Any) -> None:
        if isinstance(event.content, Promoted):
            self.apply(event)
        else:
            recall(self, event)

    patch.setattr(SearchState, "recall", forget)


def epochs_are_not_replayed_to_the_stopper(patch: Patch) -> None:
    patch.setattr(SearchState, "_to_follow", lambda self, content, record: [])


def proposals_are_not_replayed(patch: Patch) -> None:
    """Networks of before are new again, under their old numbers."""

    def forget(self: Proposer, trial: int, arch: Any, original: Any = None) -> None:
        self._next = max(self._next, trial + 1)

    def tell(self: Proposer, trial: int, status: str, metrics: Any) -> None:
        self._trials.pop(trial, None)

    patch.setattr(Proposer, "replay", forget)
    patch.setattr(Proposer, "tell", tell)


def what_was_under_way_is_forgotten(patch: Patch) -> None:
    replay = Controller.replay

    def forget(self: Controller, events: Any) -> None:
        replay(self, events)
        self._waiting.clear()

    patch.setattr(Controller, "replay", forget)


def a_lost_trial_goes_to_two_workers(patch: Patch) -> None:
    lost = Controller.lost

    def twice(self: Controller, trial: int, reason: str, **facts: Any) -> None:
        lost(self, trial, reason, **facts)
        if self.trials[trial].status is TrialStatus.INTERRUPTED:
            self._waiting.append(trial)

    patch.setattr(Controller, "lost", twice)


def trials_of_before_are_not_counted(patch: Patch) -> None:
    replay = Controller.replay

    def uncounted(self: Controller, events: Any) -> None:
        replay(self, events)
        self.spending.trials = 0

    patch.setattr(Controller, "replay", uncounted)


def duplicates_are_trained(patch: Patch) -> None:
    def proposed(self: Controller, proposal: Any) -> Proposed:
        arch = proposal.arch
        return Proposed(proposal.trial, arch.id, arch.space, arch.to_dict())

    patch.setattr(Controller, "_proposed", proposed)
    patch.setattr(SearchState, "duplicate", lambda self, trial, original: [])


def the_end_comes_while_trials_are_paused(patch: Patch) -> None:
    patch.setattr(Controller, "close", lambda self: None)


def limits_are_not_kept(patch: Patch) -> None:
    patch.setattr(Spending, "spent", property(lambda self: None))


SAFEGUARDS: list[Callable[[Patch], None]] = [
    numbers_are_taken_as_they_come,
    missing_numbers_reach_the_sampler,
    late_news_is_taken_in,
    epochs_told_again_are_logged_again,
    half_a_decision_is_kept,
    promotions_are_not_replayed,
    epochs_are_not_replayed_to_the_stopper,
    proposals_are_not_replayed,
    what_was_under_way_is_forgotten,
    a_lost_trial_goes_to_two_workers,
    trials_of_before_are_not_counted,
    duplicates_are_trained,
    the_end_comes_while_trials_are_paused,
    limits_are_not_kept,
]


@pytest.mark.parametrize("fault", SAFEGUARDS, ids=lambda fault: fault.__name__)
def test_histories_find_a_safeguard_that_is_broken(
    fault: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    fault(monkeypatch)
    with pytest.raises((ViolationError, ValueError, KeyError)):
        live_through(ENOUGH)


def live_through(count: int) -> None:
    for seed in range(count):
        simulate_history(seed)
