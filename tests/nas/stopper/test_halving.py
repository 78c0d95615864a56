"""Successive halving of a known field, against sorting."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from nas.stopper.halving import Field, Halving, rungs_below

ACCURACY = {"accuracy": "max"}


def play(
    stopper: Halving, curves: dict[int, list[float]], order: list[int]
) -> tuple[dict[int, int], list[int]]:
    """Epochs that every trial reached, and who was promoted in which order; one worker."""
    reached, promoted = dict.fromkeys(curves, 0), list[int]()
    queue = list(order)
    while queue or (trial := stopper.promote()) is not None:
        if queue:
            trial = queue.pop(0)
        else:
            promoted.append(trial)
        while reached[trial] < len(curves[trial]):
            reached[trial] += 1
            metrics = {"accuracy": curves[trial][reached[trial] - 1]}
            if stopper.report(trial, reached[trial], metrics) != "continue":
                break
        else:
            stopper.finish(trial)
    return reached, promoted


@pytest.mark.parametrize("count", [1, 2, 5, 8])
@pytest.mark.parametrize("eta", [2, 3])
def test_the_best_share_goes_on_whatever_the_order(count: int, eta: int) -> None:
    rng = np.random.default_rng(count)
    curves = {trial: rng.random(9).tolist() for trial in range(count)}
    rungs = rungs_below(9, 1, eta)
    left, expected = set(curves), dict.fromkeys(curves, 9)
    for rung in rungs:
        ranked = sorted(left, key=lambda trial: -curves[trial][rung - 1])
        best = set(ranked[: math.ceil(len(left) / eta)])
        expected |= dict.fromkeys(left - best, rung)
        left = best
    for order in itertools.islice(itertools.permutations(range(count)), 0, 5000, 1237):
        stopper = Halving([Field(frozenset(curves), ACCURACY)], rungs, eta)
        assert play(stopper, curves, list(order))[0] == expected


def test_trials_of_no_field_are_never_stopped_and_fields_do_not_meet() -> None:
    curves = {0: [0.1, 0.1], 1: [0.2, 0.2], 2: [0.9, 0.9], 3: [0.8, 0.8], 4: [0.0, 0.0]}
    fields = [Field(frozenset({0, 1}), ACCURACY), Field(frozenset({2, 3}), ACCURACY)]
    reached, promoted = play(Halving(fields, [1]), curves, [0, 1, 2, 3, 4])
    assert reached == {0: 1, 1: 2, 2: 2, 3: 1, 4: 2}
    assert promoted == [1, 2]


def test_a_front_goes_on_by_its_spread() -> None:
    stopper = Halving([Field(frozenset(range(4)), ACCURACY | {"macs": "min"})], [1])
    values = [(0.9, 9.0), (0.89, 8.9), (0.5, 1.0), (0.4, 5.0)]
    for trial, (accuracy, macs) in enumerate(values):
        assert stopper.promote() is None
        found = stopper.report(trial, 1, {"accuracy": accuracy, "macs": macs})
        assert found == "pause"
    assert {stopper.promote(), stopper.promote()} == {0, 2}
    assert stopper.promote() is None


def test_nobody_waits_for_a_trial_that_failed_or_diverged() -> None:
    stopper = Halving([Field(frozenset(range(3)), ACCURACY)], [1])
    assert stopper.report(0, 1, {"accuracy": 0.3}) == "pause"
    assert stopper.report(1, 1, {"accuracy": None}) == "stop"
    assert stopper.promote() is None
    stopper.finish(2)
    assert stopper.promote() == 0


def test_a_replay_leads_to_the_same_state() -> None:
    live = Halving([Field(frozenset(range(4)), ACCURACY)], [1, 2])
    for trial in range(4):
        live.report(trial, 1, {"accuracy": trial / 10})
    assert live.promote() == 3
    assert live.report(3, 2, {"accuracy": 0.5}) == "pause"
    again = Halving([Field(frozenset(range(4)), ACCURACY)], [1, 2])
    for trial in range(4):
        again.report(trial, 1, {"accuracy": trial / 10})
    again.promote()
    again.report(3, 2, {"accuracy": 0.5})
    for stopper in (live, again):
        assert stopper.promote() == 2
        stopper.report(2, 2, {"accuracy": 0.6})
        assert stopper.promote() == 2
        assert stopper.promote() is None


def test_rungs() -> None:
    assert rungs_below(30, None, 2) == (15,)
    assert rungs_below(30, 4, 2) == (4, 8, 16)
    assert rungs_below(1, None, 2) == ()
    assert rungs_below(2, 5, 2) == ()


def test_without_rungs_all_go_to_the_end() -> None:
    stopper = Halving([Field(frozenset(range(3)), ACCURACY)], [])
    reached, promoted = play(stopper, {trial: [0.5] for trial in range(3)}, [0, 1, 2])
    assert (set(reached.values()), promoted) == ({1}, [])
