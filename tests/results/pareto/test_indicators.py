import numpy as np
import pandas as pd
import pytest

from results import (
    attainment,
    epsilon_indicator,
    hypervolume,
    hypervolume_over_time,
    igd_plus,
)

OBJECTIVES = {"accuracy": "max", "ms": "min"}


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "accuracy": rng.random(60),
            "ms": rng.uniform(1, 9, 60),
            "finished": rng.permutation(60),
        }
    )
    table.loc[3, "ms"] = np.nan
    return table


def test_hypervolume_over_time_is_that_of_every_prefix(table):
    before, reference = table.copy(deep=True), {"accuracy": 0.1, "ms": 8.0}
    history = hypervolume_over_time(table, OBJECTIVES, reference)
    in_order = table.drop(index=3).sort_values("finished")
    expected = [
        hypervolume(in_order.head(count), OBJECTIVES, reference)
        for count in range(1, 60)
    ]
    assert history["hypervolume"].to_numpy() == pytest.approx(np.array(expected))
    assert history["trials"].tolist() == list(range(1, 60))
    assert history.index.tolist() == in_order.index.tolist()
    pd.testing.assert_frame_equal(table, before)


def test_without_a_reference_the_worst_values_bound_it(table):
    worst = {"accuracy": table["accuracy"].drop(index=3).min(), "ms": table["ms"].max()}
    last = hypervolume_over_time(table, OBJECTIVES)["hypervolume"].iloc[-1]
    assert last == pytest.approx(hypervolume(table, OBJECTIVES, worst))
    assert hypervolume_over_time(table.head(0), OBJECTIVES).empty


def test_distances_between_fronts_by_hand():
    other = pd.DataFrame({"accuracy": [0.9, 0.5], "ms": [8.0, 4.0]})
    worse = pd.DataFrame({"accuracy": [0.8, 0.4], "ms": [8.0, 4.0]})
    assert epsilon_indicator(worse, other, OBJECTIVES) == pytest.approx(0.1 / 0.4)
    assert epsilon_indicator(worse, other, OBJECTIVES, scaled=False) == pytest.approx(
        0.1
    )
    assert igd_plus(worse, other, OBJECTIVES, scaled=False) == pytest.approx(0.1)
    assert igd_plus(other, worse, OBJECTIVES) == 0.0
    assert epsilon_indicator(other, other, OBJECTIVES) == 0.0
    with pytest.raises(
        ValueError, match="the second table has no row with all of accuracy, ms"
    ):
        igd_plus(other, other.head(0), OBJECTIVES)


def test_attainment_by_hand():
    runs = pd.DataFrame(
        {
            "run": ["a", "b", "a", "b"],
            "accuracy": [0.9, 0.8, 0.5, 0.6],
            "ms": [5.0, 6.0, 2.0, 1.0],
        }
    )
    before = runs.copy(deep=True)
    surfaces = attainment(runs, OBJECTIVES, percentiles=[50, 100])
    some = surfaces[surfaces["percentile"] == 50].sort_values("ms")
    every = surfaces[surfaces["percentile"] == 100].sort_values("ms")
    assert some[["accuracy", "ms"]].to_numpy().tolist() == [[0.6, 1.0], [0.9, 5.0]]
    assert every[["accuracy", "ms"]].to_numpy().tolist() == [
        [0.5, 2.0],
        [0.6, 5.0],
        [0.8, 6.0],
    ]
    pd.testing.assert_frame_equal(runs, before)
    assert attainment(runs.head(0), OBJECTIVES).empty
    with pytest.raises(ValueError, match="by: seed is no column"):
        attainment(runs, OBJECTIVES, by="seed")
    with pytest.raises(ValueError, match="2 or 3 objectives, not 1"):
        attainment(runs, {"ms": "min"})


def test_a_row_of_no_search_does_not_count_in_attainment():
    table = pd.DataFrame(
        {"run": ["a", "b", None], "x": [2.0, 1.0, 0.5], "y": [1.0, 2.0, 0.5]}
    )
    aims = {"x": "min", "y": "min"}
    found = attainment(table, aims, percentiles=(50, 100))
    pd.testing.assert_frame_equal(
        found, attainment(table[:2], aims, percentiles=(50, 100))
    )


def test_an_infinite_value_is_no_reference_point():
    table = pd.DataFrame(
        {"finished": [1, 2, 3], "x": [1.0, 2.0, np.inf], "y": [2.0, 1.0, 3.0]}
    )
    found = hypervolume_over_time(table, {"x": "min", "y": "min"})
    assert found["hypervolume"].tolist() == [1.0, 1.0, 1.0]


def test_a_search_that_reached_nothing_counts_in_attainment():
    table = pd.DataFrame(
        {
            "run": ["a", "b", "c", "d"],
            "x": [1.0, 2.0, None, None],
            "y": [1.0, 2.0, None, None],
        }
    )
    found = attainment(table, {"x": "min", "y": "min"}, percentiles=(25, 50, 75))
    assert found.set_index("percentile")["x"].to_dict() == {25: 1.0, 50: 2.0}
