import pandas as pd
import pytest

from results import public_models, select

OBJECTIVES = {"accuracy": "max", "latency_ms": "min"}


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "trial": [4, 5, 6, 7, 8, 9, 10],
            "status": ["complete"] * 5 + ["stopped", "complete"],
            "accuracy": [0.9, 0.9, 0.8, 0.5, 0.95, 0.99, None],
            "latency_ms": [5.0, 4.0, 2.0, 1.0, 10.0, 1.0, 1.0],
            "arch": ['{"radix": 2}'] * 7,
        }
    )


def picked(selection):
    return selection.rows["trial"].tolist()


def test_the_best_within_limits_says_why(table):
    before = table.copy(deep=True)
    selection = select(table, OBJECTIVES, maximize="accuracy", under={"latency_ms": 5})
    assert picked(selection) == [5]
    assert selection.why.startswith(
        "highest accuracy (0.9) of 4 networks with latency_ms <= 5; 2 tied: ties go to the better"
    )
    assert selection.arch == {"radix": 2}
    assert picked(select(table, OBJECTIVES)) == [8]
    assert picked(select(table, minimize="latency_ms", over={"accuracy": 0.85})) == [5]
    # no second objective: first
    assert picked(select(table, maximize="accuracy", under={"latency_ms": 5})) == [4]
    for limit in ([0, 5], {"max": 5}, {"min": 0, "max": 5}):
        chosen = select(table, maximize="accuracy", under={"latency_ms": limit})
        assert picked(chosen) == [4]
    pd.testing.assert_frame_equal(table, before)


def test_the_knee_is_the_farthest_from_the_line_between_the_ends(table):
    # scaled costs: 8 (0, 1), 5 (1/9, 1/3), 6 (1/3, 1/9), 7 (1, 0): 5 and 6 tie, the more accurate wins
    selection = select(table, OBJECTIVES, knee=True)
    assert picked(selection) == [5]
    assert "the knee of a front of 4 networks" in selection.why


def test_nearest_buckets_and_diverse(table):
    assert picked(
        select(table, OBJECTIVES, near={"accuracy": 0.82, "latency_ms": 2.5})
    ) == [6]
    buckets = select(table, OBJECTIVES, buckets={"latency_ms": [0.5, 1, 4, 20]})
    assert picked(buckets) == [7, 5, 8]
    assert buckets.why.endswith("empty: the bucket up to 0.5")
    assert picked(select(table, OBJECTIVES, diverse=2)) == [8, 7]
    assert picked(select(table, OBJECTIVES, diverse=99)) == [8, 7, 5, 6]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (
            {"under": {"latency_ms": 0.5}},
            "none of 5 networks has latency_ms <= 0.5; the nearest is trial 7 with latency_ms 1",
        ),
        ({"under": {"macs": 1}}, "macs is no column"),
        ({"knee": True, "diverse": 2}, "choose one of knee and diverse"),
        ({"maximize": "speed"}, "objective speed is no column"),
        ({"buckets": {"latency_ms": [2, 1]}}, "need rising edges"),
        ({"buckets": {"latency_ms": [0.1]}}, "no network has latency_ms up to 0.1"),
        ({"buckets": {"latency_ms": [1, float("nan")]}}, "need rising edges"),
        ({"near": {"latency_ms": float("nan")}}, "near latency_ms: a finite target"),
        ({"near": {"latency_ms": float("inf")}}, "near latency_ms: a finite target"),
        ({"diverse": 0}, "at least 1"),
        ({"near": {"speed": 1}}, "speed is no column"),
        (
            {"under": {"latency_ms": 1}, "over": {"latency_ms": 2}},
            "min <= max, got 2 and 1",
        ),
    ],
)
def test_bad_choices_are_named(table, choice, message):
    with pytest.raises(ValueError, match=message):
        select(table, OBJECTIVES, **choice)


def test_nothing_to_select_from_is_said(table):
    with pytest.raises(
        ValueError, match="no finished network has accuracy: nothing to select from"
    ):
        select(table[table["status"] == "stopped"], OBJECTIVES)
    with pytest.raises(ValueError, match="nothing to select by"):
        select(table)
    unmeasured = table.assign(macs=pd.array([None] * 7, dtype="Int64"))
    with pytest.raises(ValueError, match="no network has macs measured"):
        select(unmeasured, OBJECTIVES, under={"macs": 1})


def test_public_models_under_three_budgets():
    models = public_models()
    aims = {"accuracy": "max", "flops": "min"}
    names = [
        select(models, aims, under={"flops": budget}).row["model"]
        for budget in (1e9, 4e9, 16e9)
    ]
    for name, budget in zip(names, (1e9, 4e9, 16e9), strict=True):
        inside = models[(models["flops"] <= budget).fillna(False)]
        assert inside.set_index("model")["accuracy"].idxmax() == name
    assert names[0] == "efficientnet_b1.ra4_e3600_r240_in1k"


def test_what_is_not_asked_about_may_be_missing_and_the_infinite_is_not_picked():
    table = pd.DataFrame(
        {"accuracy": [0.824, 0.828, 0.7], "latency_ms": [2.0, None, float("inf")]}
    )
    objectives = {"accuracy": "max", "latency_ms": "min"}
    assert select(table, objectives, maximize="accuracy").row["accuracy"] == 0.828
    assert (
        select(table, objectives, near={"latency_ms": 100.0}).row["latency_ms"] == 2.0
    )
    assert select(table, objectives, knee=True).row["latency_ms"] == 2.0


def test_numbers_may_stand_in_a_column_of_objects():
    table = pd.DataFrame({"accuracy": pd.Series([0.8, None, 0.9], dtype=object)})
    assert select(table, maximize="accuracy").row["accuracy"] == 0.9
