"""What ``benchmarks/searchers.py`` keeps of a search, and what it makes of many."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import wilcoxon

from benchmarks.searchers_table import POINTS, Record, goal_of, shown

SEEDS = 12


def record(sampler: str, seed: int, curve: np.ndarray) -> Record:
    return Record("world", sampler, "none", seed, curve, "code", 0.01)


def rising(end: float, length: int = POINTS) -> np.ndarray:
    """Straight up to ``end`` at a cost of 1."""
    return end * (np.arange(length) + 1) / POINTS


def records() -> list[Record]:
    made = []
    for seed in range(SEEDS):
        made += [record("random", seed, rising(1.0))]
        # four times as fast, and each a little better than the one before
        made += [record("evolution", seed, rising(4.0 + seed / 100, POINTS // 2))]
        made += [record("slow", seed, rising(0.5, POINTS // 2))]
    return made


def test_a_line_is_the_search() -> None:
    before = record("evolution", 3, np.repeat([0.0, 0.25, 1.5], 20))
    after = Record.from_line(json.dumps(before.line))
    assert after.key == before.key
    assert after.share == 0.3
    np.testing.assert_array_equal(after.curve, before.curve)


def test_the_table_is_what_the_curves_say() -> None:
    goal = goal_of(records())
    assert goal == 1
    table = shown(records(), goal, 0.3, np.random.default_rng(0)).set_index("sampler")
    assert list(table.index) == ["evolution", "random", "slow"]
    assert table["rank"].tolist() == [1, 2, 3]
    assert table.loc["evolution", "cost"] == pytest.approx(0.25, abs=1 / POINTS)
    assert table.loc["evolution", "low"] <= 0.25 <= table.loc["evolution", "high"]
    assert math.isinf(table.loc["slow", "cost"])
    assert table.loc["slow", "reached"] == 0
    assert table.loc["random", "at"] == pytest.approx(0.3)
    # corrected for the two comparisons that there are
    differences = [0.3 - 0.3 * (4 + seed / 100) for seed in range(SEEDS)]
    p = wilcoxon(differences).pvalue
    assert table.loc["random", "p"] == pytest.approx(p, abs=1e-4)
    assert table.loc["random", "better"] == 0


def test_searches_that_ended_too_soon_are_left_out() -> None:
    short = [record("short", seed, rising(1.0, 20)) for seed in range(SEEDS)]
    table = shown([*records(), *short], 1.0, 0.3, np.random.default_rng(0))
    assert "short" not in set(table["sampler"])
