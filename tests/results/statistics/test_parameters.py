"""A parameter out of range is one line that names it, whatever was asked for with it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from results.pareto.indicators import attainment, hypervolume_over_time
from results.pareto.uncertainty import front_probability, repeat_spread
from results.statistics.comparison import compare
from results.statistics.populations import EDF, BestOf, Quantile
from results.statistics.rank_agreement import rank_agreement
from results.statistics.trends import Trend, importance

AIMS = {"accuracy": "max", "flops": "min"}
Use = Callable[[pd.DataFrame], Any]


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "trial": range(20),
            "accuracy": rng.random(20),
            "flops": rng.random(20),
            "arch.radix": rng.integers(0, 3, 20),
            "run": np.arange(20) % 2,
        }
    )


WRONG: list[tuple[str, Use]] = [
    *[
        (f"level must lie between 0 and 1, such as 0.95, not {level}", use)
        for level in (95, 0.0, 1.0, -1.0, "high")
        for use in (
            lambda t, x=level: EDF(level=x)(t),
            lambda t, x=level: Quantile(level=x)(t),
            lambda t, x=level: BestOf(level=x)(t),
            lambda t, x=level: Trend("arch.radix", level=x)(t),
            lambda t, x=level: rank_agreement(t[["flops"]], t["accuracy"], level=x),
            lambda t, x=level: compare({"a": t, "b": t}, level=x),
        )
    ],
    ("n must lie from 1 to inf, not 0", lambda _: BestOf(n=(1, 0))),
    ("n must be a whole number of at least 1, not 2.5", lambda _: BestOf(n=(2.5,))),
    ("n must be several numbers", lambda _: BestOf(n=10)),
    ("quantiles must lie from 0 to 1, not 50", lambda _: Quantile(quantiles=(50,))),
    ("quantiles must be several numbers", lambda _: Quantile(quantiles=0.5)),
    ("bins must be a whole number", lambda _: Trend("arch.radix", bins=0)),
    ("repeats must be a whole number", lambda t: importance(t, repeats=0)),
    (
        "population b: accuracy is infinite in 1 rows",
        lambda t: compare(
            {"a": t, "b": t.assign(accuracy=[np.inf, *t["accuracy"][1:]])}
        ),
    ),
    ("best_of must be a whole", lambda t: compare({"a": t, "b": t}, best_of=0)),
    ("samples must be a whole", lambda t: front_probability(t, AIMS, samples=0)),
    (
        "validation_images must be a whole number of at least 1, not 0",
        lambda t: front_probability(t, AIMS, validation_images=0),
    ),
    (
        "percentiles must lie from 0 to 100, not 150",
        lambda t: attainment(t, AIMS, percentiles=(50, 150)),
    ),
    ("by: search is no column", lambda t: attainment(t, AIMS, by="search")),
    ("by: net is no column", lambda t: repeat_spread(t, "accuracy", by="net")),
    ("time: when is no col", lambda t: hypervolume_over_time(t, AIMS, time="when")),
    ("knob: radix is no column", lambda t: importance(t, knobs=["radix"])),
]


@pytest.mark.parametrize(("words", "use"), WRONG)
def test_out_of_range_is_named(table: pd.DataFrame, words: str, use: Use) -> None:
    with pytest.raises(ValueError, match=r"\w") as error:
        use(table)
    assert str(error.value).startswith(words)
    assert "\n" not in str(error.value)
