"""Who passes a rung, worked out again from the definition: slowly, and from all points each time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from nas.stopper.asha import MultiObjectiveASHA

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
