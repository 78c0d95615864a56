"""Whole searches in a simulated world, whose drivers are killed again and again."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from nas.testing import (
    History,
    ViolationError,
    check_history,
    check_log,
    simulate_history,
)
from results import Event


@cache
def lived(seed: int) -> History:
    return simulate_history(seed)


@pytest.mark.parametrize("first", range(0, 200, 25))
def test_no_history_breaks_an_invariant(first: int) -> None:
    histories = [lived(seed) for seed in range(first, first + 25)]
    assert sum(history.kills for history in histories) > 50
    assert sum(len(history.events) for history in histories) > 500


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1_000, 11_000, 1_000))
def test_nor_does_any_of_ten_thousand(first: int) -> None:
    for seed in range(first, first + 1_000):
        simulate_history(seed)


def test_the_worlds_differ_enough_that_everything_happens() -> None:
    histories = [lived(seed) for seed in range(60)]
    told = [event for history in histories for event in history.events]
    kinds = Counter(event.kind for event in told)
    assert set(kinds) == {
        "search_started", "search_finished", "proposed", "measured", "epoch", "decision", "promoted", "lost",
        "finished",
    }  # fmt: skip
    ends = Counter(event.data["status"] for event in told if event.kind == "finished")
    assert set(ends) == {"complete", "stopped", "infeasible", "failed", "duplicate"}
    assert any(history.raised for history in histories)


def test_the_same_seed_is_the_same_history() -> None:
    for seed in range(5):
        assert simulate_history(seed) == lived(seed)


def events(*told: tuple[str, int | None, dict[str, object]]) -> list[Event]:
    return [Event(place, 0.0, *event) for place, event in enumerate(told, start=1)]


BEGUN = ("proposed", 0, {"arch_id": "a", "arch": {}})


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ([BEGUN, BEGUN], "proposed twice"),
        ([("epoch", 0, {"epoch": 1})], "never proposed"),
        ([BEGUN, ("epoch", 0, {"epoch": 2})], "epoch 2 after epoch 0"),
        (
            [BEGUN, ("epoch", 0, {"epoch": 1}), ("epoch", 0, {"epoch": 1})],
            "epoch 1 after epoch 1",
        ),
        (
            [BEGUN, *[("finished", 0, {"status": "failed"})] * 2],
            "its trial was over, failed",
        ),
        ([BEGUN, ("promoted", 0, {})], "was not put aside, but running"),
        (
            [BEGUN, ("decision", 0, {"decision": "pause"}), ("epoch", 0, {"epoch": 1})],
            "was put aside",
        ),
        (
            [BEGUN, ("search_finished", None, {"reason": "1 trials done"})],
            r"trials \[0\] are still open",
        ),
        ([BEGUN, ("proposed", 1, {"arch_id": "a"})], "trained by more than one trial"),
        (
            [BEGUN, ("proposed", 1, {"arch_id": "b"})],
            "2 trials were begun, 1 asked for",
        ),
        (
            [BEGUN, ("proposed", 1, {"arch_id": "a", "duplicate_of": 0})],
            "answered by trial 0, which is running",
        ),
    ],
)
def test_each_invariant_can_be_broken(
    told: list[tuple[str, int, dict[str, object]]], message: str
) -> None:
    with pytest.raises(ViolationError, match=message):
        check_history(events(*told), asked=1)


def test_a_log_cut_off_anywhere_has_each_trial_once() -> None:
    check_log(events(BEGUN, ("finished", 0, {"status": "failed"})))
    with pytest.raises(
        ViolationError, match=r"trials \[0\] are finished more than once"
    ):
        check_log(events(BEGUN, *[("finished", 0, {"status": "failed"})] * 2))


def test_paused_trials_are_stopped_when_only_duplicates_are_left() -> None:
    """``next`` found nothing to promote, then proposed duplicates until the space was exhausted: over, at once."""
    assert simulate_history(1140).events[-1].kind == "search_finished"
