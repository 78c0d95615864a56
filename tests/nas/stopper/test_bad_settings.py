"""Stoppers by name, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from nas.stopper.asha import ASHA, MultiObjectiveASHA, NoStopping, Stopper, make_stopper
from tests.nas.stopper.oracle import BOTH


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
                "unknown stopper 'hyperband'; there are none, moasha, asha ",
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
