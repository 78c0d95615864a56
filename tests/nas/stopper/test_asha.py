from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.stopper.asha import ASHA, MultiObjectiveASHA, NoStopping, Stopper, make_stopper

Point = tuple[float, ...]
BOTH = {"accuracy": "max", "flops": "min"}


def dominates(a: Point, b: Point) -> bool:
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def crowding(front: Sequence[Point]) -> list[float]:
    """NSGA-II's, as its paper words it: gaps to the neighbours, objective by objective; copies get -1."""
    single = [i for i, point in enumerate(front) if point not in front[:i]]
    distance = dict.fromkeys(single, 0.0)
    for axis in range(len(front[0])):
        rising = sorted(single, key=lambda i: front[i][axis])
        values = [front[i][axis] for i in rising]
        scale = (
            values[3 * len(values) // 4] - values[len(values) // 4]
            or values[-1] - values[0]
        )
        if scale:
            for before, here, after in zip(
                rising, rising[1:], rising[2:], strict=False
            ):
                distance[here] += (front[after][axis] - front[before][axis]) / scale
            distance[rising[0]] = distance[rising[-1]] = math.inf
    return [distance.get(i, -1.0) for i in range(len(front))]


def oracle(points: Sequence[Point]) -> list[int]:
    """Everybody's index, best first, by definition: peel fronts, order each by crowding, then by age."""
    rest, order = list(range(len(points))), []
    while rest:
        front = [
            i for i in rest if not any(dominates(points[j], points[i]) for j in rest)
        ]
        alone = crowding([points[i] for i in front])
        order += [
            i
            for _, i in sorted(
                zip(alone, front, strict=True), key=lambda pair: (-pair[0], pair[1])
            )
        ]
        rest = [i for i in rest if i not in front]
    return order


def rungs(low: int, high: int) -> st.SearchStrategy[list[Point]]:
    """Points of one rung on a coarse grid, so that ties and copies are common."""
    # exact: no decision hangs on rounding
    value = st.integers(low, high).map(lambda x: x / 4)
    return st.integers(2, 4).flatmap(
        lambda d: st.lists(st.tuples(*[value] * d), min_size=1, max_size=40)
    )


def metrics(point: Point) -> dict[str, float]:
    return {f"o{axis}": value for axis, value in enumerate(point)}


def asha(points: Sequence[Point], **options: Any) -> MultiObjectiveASHA:
    return MultiObjectiveASHA(
        dict.fromkeys(metrics(points[0]), "min"), **{"max_epochs": 3} | options
    )


def check_against_oracle(points: Sequence[Point], eta: int, every: int = 1) -> None:
    stopper = asha(points, eta=eta, max_epochs=2)
    for number, point in enumerate(points):
        decision = stopper.report(number, 1, metrics(point))
        if number % every == 0:
            place = oracle(points[: number + 1]).index(number)
            assert decision == ("continue" if place * eta < number + 1 else "stop"), (
                number,
                place,
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


def test_what_a_published_implementation_gets_wrong() -> None:
    """With (1,1), (2,2), (3,3) recorded, both minimised, it stops a new (0,0)."""
    stopper = asha([(0.0, 0.0)])
    for number, value in enumerate([1.0, 2.0, 3.0]):
        stopper.report(number, 1, metrics((value, value)))
    assert stopper.report(3, 1, metrics((0.0, 0.0))) == "continue"


@pytest.mark.parametrize("unit", [1e-300, 1.0, 1e300])
def test_units_do_not_matter(unit: float) -> None:
    points = np.random.default_rng(0).integers(0, 1000, (200, 2)).astype(float)
    stoppers = asha([(0.0, 0.0)]), asha([(0.0, 0.0)])
    for number, (a, b) in enumerate(points.tolist()):
        plain, scaled = (
            s.report(number, 1, metrics((a, b * u)))
            for s, u in zip(stoppers, (1, unit), strict=True)
        )
        assert plain == scaled


def test_an_outlier_does_not_hide_the_spread_of_the_others() -> None:
    """All non-dominated; by range alone the outlier's objective would be flat and count for nothing."""
    front = [(float(i), 1000.0 - (i if i < 50 else i + 200)) for i in range(100)]
    points = [*front, (-1.0, 1e12)]
    stopper = asha(points, eta=2)
    for number, point in enumerate(points):
        stopper.report(number, 1, metrics(point))
    beside_the_gap = (49.5, 800.0)
    assert stopper.report(200, 1, metrics(beside_the_gap)) == "continue"
    assert stopper.report(201, 1, metrics((20.5, 979.5))) == "stop"


def test_a_constant_objective_counts_for_nothing() -> None:
    rng = np.random.default_rng(0)
    two = MultiObjectiveASHA({"a": "max", "b": "min"})
    three = MultiObjectiveASHA({"a": "max", "b": "min", "c": "min"})
    for number, (a, b) in enumerate(rng.random((300, 2)).tolist()):
        values = {"a": a, "b": b, "c": 7.0}
        assert two.report(number, 1, values) == three.report(number, 1, values)


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


class TestBadInput:
    def test_an_objective_that_is_not_measured_yet_is_named(self) -> None:
        stopper = MultiObjectiveASHA(BOTH)
        with pytest.raises(
            ValueError, match="trial 4, epoch 1: objective flops has not been measured"
        ):
            stopper.report(4, 1, {"accuracy": 0.5})

    def test_an_objective_that_is_no_number_is_named(self) -> None:
        with pytest.raises(ValueError, match="objective flops is no number but 'many'"):
            MultiObjectiveASHA(BOTH).report(4, 1, {"accuracy": 0.5, "flops": "many"})

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (
                {"min_epochs": 0},
                "min_epochs must be a whole number of at least 1; got 0",
            ),
            (
                {"min_epochs": 10},
                "min_epochs must be at most the 9 epochs of a trial; got 10",
            ),
            ({"eta": 1}, "eta must be a whole number of at least 2; got 1"),
            ({"eta": "3"}, "eta must be a whole number of at least 2; got '3'"),
            ({"mode": "pause"}, 'mode must be "stop" or "promote"; got \'pause\''),
            ({"etas": 3}, "unexpected keyword argument 'etas'"),
        ],
    )
    def test_a_wrong_option_is_named(
        self, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            make_stopper("moasha", BOTH, 9, options)

    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            (
                "hyperband",
                {},
                "unknown stopper 'hyperband'; built in: none, moasha, asha",
            ),
            (
                "asha",
                {"objective": "params"},
                "params is no objective; there are accuracy, flops",
            ),
            ("none", {"eta": 3}, "stopper none: .*unexpected keyword argument 'eta'"),
            (
                "builtins:dict",
                {},
                "stopper builtins:dict: dict has no report, promote and finish",
            ),
        ],
    )
    def test_a_wrong_stopper_is_named(
        self, name: str, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            make_stopper(name, BOTH, 9, options)

    def test_directions_are_checked(self) -> None:
        with pytest.raises(
            ValueError, match='direction of objective flops must be "max" or "min"'
        ):
            MultiObjectiveASHA({"accuracy": "max", "flops": "less"})


@pytest.mark.parametrize(
    ("name", "kind"),
    [("none", NoStopping), ("moasha", MultiObjectiveASHA), ("asha", ASHA)],
)
def test_every_stopper_goes_by_its_name(name: str, kind: type[Stopper]) -> None:
    made = make_stopper(name, BOTH, 9)
    assert type(made) is kind
    assert made.report(0, 1, {"accuracy": 0.5, "flops": 1.0}) == "continue"
    assert made.promote() is None


def test_asha_goes_by_accuracy_unless_told() -> None:
    by_flops = make_stopper("asha", BOTH, 9, {"objective": "flops"})
    by_accuracy = make_stopper("asha", {"flops": "min", "accuracy": "max"}, 9)
    poor = {"accuracy": 0.1, "flops": 1.0}
    for stopper in (by_flops, by_accuracy):
        stopper.report(0, 1, {"accuracy": 0.9, "flops": 2.0})
    assert by_flops.report(1, 1, poor) == "continue"
    assert by_accuracy.report(1, 1, poor) == "stop"
