"""How a front is ordered where it does not fit the quota."""

from __future__ import annotations

import numpy as np
import pytest

from nas.stopper.asha import MultiObjectiveASHA
from tests.nas.stopper.oracle import asha, metrics


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
