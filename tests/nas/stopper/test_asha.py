"""Successive halving by several objectives: who passes a rung, who goes on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.stopper.asha import ASHA, MultiObjectiveASHA
from tests.nas.stopper.oracle import (
    BOTH,
    Point,
    asha,
    check_against_oracle,
    dominates,
    metrics,
    oracle,
    rungs,
)


class TestAgainstTheOracle:
    @settings(max_examples=150, deadline=None)
    @given(rungs(0, 3), st.integers(2, 4))
    def test_with_many_ties_and_copies(self, points: list[Point], eta: int) -> None:
        check_against_oracle(points, eta)

    @settings(max_examples=150, deadline=None)
    @given(rungs(-10_000, 10_000), st.integers(2, 4))
    def test_with_few_ties(self, points: list[Point], eta: int) -> None:
        check_against_oracle(points, eta)

    @pytest.mark.parametrize("d", [2, 3, 4])
    def test_thousands_of_random_rungs(self, d: int) -> None:
        """The decision about the last of 1 to 30 trials, in rungs of every kind of tie and correlation."""
        rng = np.random.default_rng(d)
        for _ in range(700):
            count, levels = int(rng.integers(1, 31)), int(rng.choice([2, 5, 1000]))
            shared = rng.integers(0, levels, (count, 1)) * rng.choice([-1, 0, 1], d)
            points = [
                tuple(map(float, row))
                for row in shared + rng.integers(0, levels, (count, d))
            ]
            stopper = asha(points)
            decision = [
                stopper.report(i, 1, metrics(point)) for i, point in enumerate(points)
            ][-1]
            passes = oracle(points).index(count - 1) * 3 < count
            assert decision == ("continue" if passes else "stop")

    @pytest.mark.parametrize("descending", [True, False])
    def test_long_chains_of_fronts(self, descending: bool) -> None:
        """Hundreds of fronts of two, where one trial changes every front behind it."""
        chain = [
            point for k in range(85) for point in ((k, k + 1000.0), (k + 1000.0, k))
        ]
        check_against_oracle(
            [(float(a), float(b)) for a, b in chain[:: -1 if descending else 1]],
            eta=2,
            every=19,
        )

    @settings(max_examples=100, deadline=None)
    @given(rungs(0, 6), st.integers(2, 4))
    def test_promotion_is_best_first_among_the_top(
        self, points: list[Point], eta: int
    ) -> None:
        stopper = asha(points, eta=eta, mode="promote", max_epochs=eta)
        for number, point in enumerate(points):
            assert stopper.report(number, 1, metrics(point)) == "pause"
        promoted = []
        while (trial := stopper.promote()) is not None:
            promoted.append(trial)
        assert promoted == oracle(points)[: math.ceil(len(points) / eta)]

    @settings(max_examples=100, deadline=None)
    @given(rungs(0, 30))
    def test_a_new_non_dominated_point_goes_on_while_the_front_fits(
        self, points: list[Point]
    ) -> None:
        stopper = asha(points)
        decision = [
            stopper.report(i, 1, metrics(point)) for i, point in enumerate(points)
        ][-1]
        front = [p for p in points if not any(dominates(q, p) for q in points)]
        if points[-1] in front and len(front) * 3 <= len(points):
            assert decision == "continue"

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.integers(0, 9), min_size=1, max_size=40))
    def test_one_objective_is_plain_asha(self, values: list[int]) -> None:
        single, several = ASHA(("o0", "max")), MultiObjectiveASHA({"o0": "max"})
        for number, value in enumerate(values):
            before = sum(other >= value for other in values[:number])
            wanted = "continue" if before * 3 < number + 1 else "stop"
            assert single.report(number, 1, {"o0": value}) == wanted
            assert several.report(number, 1, {"o0": value}) == wanted


class TestRungs:
    def test_lie_at_powers_of_eta_below_the_last_epoch(self) -> None:
        assert MultiObjectiveASHA(BOTH, 1, 9, 3).rungs == [1, 3]
        assert MultiObjectiveASHA(BOTH, 2, 33, 4).rungs == [2, 8, 32]
        assert MultiObjectiveASHA(BOTH, 9, 9).rungs == []

    def test_between_and_after_them_everybody_goes_on(self) -> None:
        stopper = MultiObjectiveASHA(BOTH)
        for trial, accuracy in enumerate([0.9, 0.1]):
            values = {"accuracy": accuracy, "flops": 1}
            assert stopper.report(trial, 2, values) == (
                "continue" if trial == 0 else "stop"
            )
        assert [stopper.report(0, epoch, {}) for epoch in (2,)] == ["continue"]
        assert stopper.report(0, 9, {"accuracy": 0.9, "flops": 1}) == "continue"

    def test_an_epoch_reported_twice_counts_once(self) -> None:
        once, twice = MultiObjectiveASHA(BOTH), MultiObjectiveASHA(BOTH)
        rng = np.random.default_rng(0)
        for trial in range(200):
            values = {"accuracy": rng.random(), "flops": rng.random()}
            decision = once.report(trial, 1, values)
            assert [twice.report(trial, 1, values) for _ in range(3)] == [decision] * 3

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
    def test_diverged_trials_stop_and_leave_no_trace(self, value: float | None) -> None:
        stopper, clean = MultiObjectiveASHA(BOTH), MultiObjectiveASHA(BOTH)
        rng = np.random.default_rng(0)
        for trial in range(100):
            values = {"accuracy": rng.random(), "flops": rng.random()}
            assert (
                stopper.report(1000 + trial, 1, {"accuracy": value, "flops": 0})
                == "stop"
            )
            assert stopper.report(trial, 1, values) == clean.report(trial, 1, values)


class TestPromotion:
    def test_highest_rung_first_and_nobody_twice(self) -> None:
        stopper = MultiObjectiveASHA({"accuracy": "max"}, mode="promote")
        for trial in range(6):
            assert stopper.report(trial, 1, {"accuracy": trial}) == "pause"
        assert [stopper.promote() for _ in range(3)] == [5, 4, None]
        assert stopper.report(4, 2, {"accuracy": 0}) == "continue"
        assert stopper.report(4, 3, {"accuracy": 4}) == "pause"
        stopper.report(6, 1, {"accuracy": 6})
        assert [stopper.promote() for _ in range(3)] == [4, 6, None]
        assert stopper.report(4, 9, {"accuracy": 9}) == "continue"

    def test_the_finished_are_not_promoted(self) -> None:
        stopper = MultiObjectiveASHA({"accuracy": "max"}, mode="promote")
        for trial in range(6):
            stopper.report(trial, 1, {"accuracy": trial})
        stopper.finish(5)
        stopper.finish(77)
        assert [stopper.promote(), stopper.promote()] == [4, None]

    def test_one_paused_too_long_is_promoted_once_others_fall_behind(self) -> None:
        stopper = MultiObjectiveASHA({"accuracy": "max"}, mode="promote")
        for trial, accuracy in enumerate([3, 2]):
            stopper.report(trial, 1, {"accuracy": accuracy})
        assert [stopper.promote(), stopper.promote()] == [0, None]
        for trial in (2, 3):
            stopper.report(trial, 1, {"accuracy": 0})
        assert stopper.promote() == 1

    def test_a_promoted_trial_that_repeats_an_epoch_goes_on(self) -> None:
        """Its worker was lost, and with it the checkpoint."""
        stopper = MultiObjectiveASHA({"accuracy": "max"}, mode="promote")
        stopper.report(0, 1, {"accuracy": 1})
        assert stopper.promote() == 0
        assert stopper.report(0, 1, {"accuracy": 1}) == "continue"


@pytest.mark.parametrize("mode", ["stop", "promote"])
def test_replay_of_the_log_rebuilds_the_state(mode: Any) -> None:
    """Run half of a search, replay its epochs into a new stopper; both then decide alike to the end."""
    rng = np.random.default_rng(0)
    first, log = MultiObjectiveASHA(BOTH, 1, 27, mode=mode), []
    epochs: dict[int, int] = {}
    paused: set[int] = set()
    second = MultiObjectiveASHA(BOTH, 1, 27, mode=mode)
    for step in range(1500):
        if step == 700:
            for event in log:
                second.report(*event)
        trial = first.promote()
        if step >= 700:
            assert second.promote() == trial
        if trial is None:
            trial = int(
                rng.choice(
                    [step, *(number for number in epochs if number not in paused)]
                )
            )
        epochs[trial] = epochs.get(trial, 0) + 1
        log.append(
            (trial, epochs[trial], {"accuracy": rng.random(), "flops": trial * 7 % 100})
        )
        decision = first.report(*log[-1])
        if step >= 700:
            assert second.report(*log[-1]) == decision
        paused = (paused | {trial}) if decision == "pause" else (paused - {trial})
        if decision == "stop" or epochs[trial] == 27:
            del epochs[trial]
    assert len(log) == 1500
