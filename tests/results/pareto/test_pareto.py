import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results import hypervolume, load_front, pareto_front, pareto_rank
from results.limits import Limit
from results.objectives import Objectives
from results.pareto.archive import FrontArchive

# Few distinct values: ties and equal rows are common.
VALUES = st.one_of(st.integers(0, 4).map(float), st.just(math.nan))


@st.composite
def tables(draw):
    width = draw(st.integers(2, 4))
    rows = draw(st.lists(st.tuples(*[VALUES] * width), max_size=25))
    names = [f"m{i}" for i in range(width)]
    index = draw(st.permutations(range(100, 100 + len(rows))))
    directions = draw(
        st.lists(st.sampled_from(["max", "min"]), min_size=width, max_size=width)
    )
    table = pd.DataFrame(rows, columns=names, index=index, dtype=float)
    return table, dict(zip(names, directions, strict=True))


def costs(table, objectives):
    signs = [-1 if direction == "max" else 1 for direction in objectives.values()]
    return table[list(objectives)].to_numpy() * signs


def dominates(a, b):
    return (a <= b).all() and (a < b).any()


@given(tables())
@settings(deadline=None)
def test_front_is_what_brute_force_finds(case):
    table, objectives = case
    before = table.copy(deep=True)
    points = costs(table, objectives)
    expected = [
        index
        for index, point in zip(table.index, points, strict=True)
        if not np.isnan(point).any()
        and not any(dominates(other, point) for other in points)
    ]
    front = pareto_front(table, objectives)
    assert front.index.tolist() == expected
    pd.testing.assert_frame_equal(front, before.loc[expected])
    pd.testing.assert_frame_equal(table, before)


@given(tables())
@settings(deadline=None)
def test_hypervolume_is_what_inclusion_and_exclusion_finds(case):
    table, objectives = case
    before = table.copy(deep=True)
    corner = 3.0
    reference = dict.fromkeys(objectives, corner)
    signs = np.array(
        [-1 if direction == "max" else 1 for direction in objectives.values()]
    )
    points = costs(table, objectives)
    boxes = np.unique(points[(points < corner * signs).all(axis=1)], axis=0)[:8]
    expected = sum(
        (-1) ** (size + 1) * np.prod(corner * signs - np.max(group, axis=0))
        for size in range(1, len(boxes) + 1)
        for group in combinations(boxes, size)
    )
    kept = pd.DataFrame(boxes * signs, columns=list(objectives))
    assert hypervolume(kept, objectives, reference) == pytest.approx(expected)
    if len(boxes) < 8:
        assert hypervolume(table, objectives, reference) == pytest.approx(expected)
    pd.testing.assert_frame_equal(table, before)


def test_hypervolume_by_hand():
    table = pd.DataFrame(
        {"accuracy": [0.5, 0.9, 0.2, None], "latency_ms": [10.0, 30.0, 60.0, 1.0]}
    )
    objectives = {"accuracy": "max", "latency_ms": "min"}
    # 0.5 x 40 and, above it, 0.4 x 20; the third is slower than the reference, the fourth unmeasured.
    assert hypervolume(
        table, objectives, {"accuracy": 0.0, "latency_ms": 50.0}
    ) == pytest.approx(28.0)
    assert hypervolume(table, objectives, {"accuracy": 0.95, "latency_ms": 50.0}) == 0.0
    assert (
        hypervolume(table.head(0), objectives, {"accuracy": 0.0, "latency_ms": 50.0})
        == 0.0
    )


def test_nullable_columns_count_as_missing():
    table = pd.DataFrame(
        {"a": pd.array([1, None, 2], dtype="Int64"), "b": [1.0, 0.0, 2.0]}
    )
    assert pareto_front(table, {"a": "min", "b": "min"}).index.tolist() == [0]


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ({"speed": "max"}, "speed is no column; there are flops, accuracy"),
        ({"accuracy": "up"}, "accuracy has direction 'up'"),
        ({}, "no objectives"),
    ],
)
def test_bad_objectives_are_named(objectives, message):
    table = pd.DataFrame({"accuracy": [1.0], "flops": [1.0]})
    with pytest.raises(ValueError, match=message):
        pareto_front(table, objectives)
    with pytest.raises(ValueError, match=message):
        hypervolume(table, objectives, {"accuracy": 0.0})


def test_reference_must_cover_the_objectives():
    table = pd.DataFrame({"accuracy": [1.0], "flops": [1.0]})
    with pytest.raises(ValueError, match="no value for flops"):
        hypervolume(table, {"accuracy": "max", "flops": "min"}, {"accuracy": 0.0})


@given(tables())
@settings(deadline=None)
def test_ranks_are_those_of_taking_fronts_away(case):
    table, objectives = case
    before, left = table.copy(deep=True), table
    expected = pd.Series(pd.NA, index=table.index, dtype="Int64")
    for rank in range(len(table)):
        front = pareto_front(left, objectives)
        expected[front.index] = rank
        left = left.drop(front.index)
    pd.testing.assert_series_equal(
        pareto_rank(table, objectives), expected, check_names=False
    )
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize(
    ("direction", "ranks"), [("min", [0, 1, 1, 2]), ("max", [2, 1, 1, 0])]
)
def test_a_single_objective_is_ranked_in_its_direction(direction, ranks):
    table = pd.DataFrame({"flops": [1.0, 2.0, 2.0, 3.0]})
    assert pareto_rank(table, {"flops": direction}).tolist() == ranks


def test_rows_inside_the_limits_come_first_then_by_how_far_they_are_outside():
    table = pd.DataFrame(
        {
            "accuracy": [0.9, 0.8, 0.7, 0.95, 0.99],
            "latency_ms": [5.0, 4.0, 4.5, 10.0, 20.0],
            "macs": [1.0, 1, 1, 1, None],
        }
    )
    objectives = {"accuracy": "max", "latency_ms": "min"}
    limits = {"latency_ms": 5.0, "macs": (0.5, None)}
    assert pareto_front(table, objectives, limits).index.tolist() == [0, 1]
    assert pareto_rank(table, objectives, limits).tolist() == [0, 0, 1, 2, pd.NA]
    assert pareto_front(table, objectives, {"latency_ms": 1.0}).index.tolist() == [1]
    assert pareto_rank(table, objectives, {"latency_ms": (4.2, 4.2)}).tolist() == [
        2,
        0,
        1,
        3,
        4,
    ]
    with pytest.raises(ValueError, match="limit on macs: a limit needs min"):
        pareto_front(table, objectives, {"macs": (2, 1)})


def test_values_of_part_of_the_training_are_on_no_front():
    status = ["complete", "stopped", "duplicate", "failed", "running"]
    table = pd.DataFrame(
        {"a": [1.0, 9, 9, 9, 9], "b": [1.0, 0, 0, 0, 0], "status": status}
    )
    objectives = {"a": "max", "b": "min"}
    assert pareto_front(table, objectives).index.tolist() == [0]
    assert pareto_rank(table, objectives).tolist() == [0, *[pd.NA] * 4]
    assert hypervolume(table, objectives, {"a": 0, "b": 2}) == 1.0


@pytest.mark.parametrize(
    "limit",
    [5.0, (None, 5), [None, 5], {"max": 5}, {"min": None, "max": 5}, Limit(max=5)],
)
def test_limits_are_taken_as_they_are_written(limit):
    table = pd.DataFrame({"accuracy": [0.9, 0.8], "latency_ms": [6.0, 5.0]})
    front = pareto_front(
        table, {"accuracy": "max", "latency_ms": "min"}, {"latency_ms": limit}
    )
    assert front.index.tolist() == [1]


def test_the_published_front_takes_its_own_limits():
    run = load_front("cifar10-small")
    inside = pareto_front(run.trials, run.objectives, run.config["limits"])
    assert (
        inside["trial"].tolist()
        == pareto_front(run.complete, run.objectives)["trial"].tolist()
    )


@given(tables())
@settings(deadline=None)
def test_a_front_that_grows_is_that_of_the_whole_table(case):
    table, directions = case
    aims, reference = Objectives(directions), dict.fromkeys(directions, 3.0)
    archive = FrontArchive[int](len(aims))
    for place, point in enumerate(aims.points(table)):
        archive.add(point, place)
        so_far = table.iloc[: place + 1]
        assert (
            table.index[sorted(archive.items)].tolist()
            == pareto_front(so_far, directions).index.tolist()
        )
        assert archive.hypervolume(aims.reference(reference)) == hypervolume(
            so_far, directions, reference
        )
