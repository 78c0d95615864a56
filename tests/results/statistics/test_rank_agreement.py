import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, spearmanr

from results.statistics.rank_agreement import rank_agreement

MEASURES = {"kendall": kendalltau, "spearman": spearmanr}


def test_equal_and_reversed_ranks():
    full = pd.Series(np.linspace(0.5, 0.9, 12))
    proxy = pd.DataFrame({1: -full, 2: full**3, 3: 0.5})
    table = rank_agreement(proxy, full).set_index("proxy")
    assert table.loc[1, ["kendall", "spearman"]].tolist() == pytest.approx([-1, -1])
    assert table.loc[2, ["kendall", "kendall_upper"]].tolist() == pytest.approx([1, 1])
    assert 0.5 < table.loc[2, "kendall_lower"] < 0.95
    assert table.loc[3].drop("networks").isna().all()


@pytest.mark.parametrize(("correlation", "grid"), [(0.0, 0.0), (0.8, 0.0), (0.8, 0.8)])
def test_intervals_of_a_dozen_hold(correlation, grid):
    """With a grid many values tie, as accuracies on few images do."""
    rng = np.random.default_rng(0)
    covariance = [[1, correlation], [correlation, 1]]

    def pairs(count):
        drawn = rng.multivariate_normal([0, 0], covariance, count)
        return pd.DataFrame(np.round(drawn / grid) * grid if grid else drawn)

    many = pairs(20_000)
    truth = {name: rank(many[0], many[1]).statistic for name, rank in MEASURES.items()}
    held = dict.fromkeys(MEASURES, 0)
    for _ in range(60):
        few = pairs(12)
        [row] = rank_agreement(few[[0]], few[1]).to_dict("records")
        for name in MEASURES:
            assert row[name] == pytest.approx(MEASURES[name](few[0], few[1]).statistic)
            held[name] += row[f"{name}_lower"] <= truth[name] <= row[f"{name}_upper"]
    print(f"rank agreement {correlation}, grid {grid}: of 60 intervals hold {held}")
    assert min(held.values()) >= 54


def test_few_networks_have_no_interval_and_fewer_no_correlation():
    values = pd.Series(np.arange(10.0))
    found = rank_agreement(pd.DataFrame({1: values[:9]}), values)
    assert found["kendall"].tolist() == [1.0]
    assert found[["kendall_lower", "spearman_upper"]].isna().all(axis=None)
    assert not rank_agreement(pd.DataFrame({1: values}), values).isna().any(axis=None)
    with pytest.raises(ValueError, match="3 networks with all values"):
        rank_agreement(pd.DataFrame({1: values[:3]}), values)
