"""Searches of ``searchers.py`` as lines of a file, and what they come to.

Columns of the table, a row per sampler and stopper:

- ``cost``: its share at which the median search has reached the goal, ``low`` to ``high`` its 95 % interval by
  bootstrap over seeds (``inf``: not within the cost of these searches); ``reached``: in how many seeds at all
- ``at``: hypervolume over the goal, at the share of the cost that is compared; mean and half of its 95 % interval;
  ``way``: its mean on the way there
- ``better``, ``p``: against ``evolution``, on the seeds that both have, how often it has more at that share, and
  Wilcoxon's signed-rank test, corrected after Benjamini and Hochberg; ``better_way``, ``p_way``: on the way there
- ``ms``: the processor's milliseconds a proposal
- ``rank``: the mean one among all at that share, on the seeds that all have
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from results.columns import Array

POINTS = 200
"""Equal steps of the cost."""
BASELINE = ("random", "none")
BEST = ("evolution", "none")
RESAMPLES = 2000
Pair = tuple[str, str]


@dataclass(frozen=True)
class Record:
    """``curve``: the hypervolume after each step. ``seconds``: of the processor, a proposal."""

    run: str
    sampler: str
    stopper: str
    seed: int
    curve: Array
    code: str
    seconds: float

    @property
    def key(self) -> tuple[str, str, str, int]:
        return self.run, self.sampler, self.stopper, self.seed

    @property
    def name(self) -> str:
        return self.sampler + ("" if self.stopper == "none" else f", {self.stopper}")

    @property
    def share(self) -> float:
        return len(self.curve) / POINTS

    @property
    def line(self) -> dict[str, Any]:
        """Fit for JSON: of the curve only its steps, (steps taken, hypervolume)."""
        rises = np.flatnonzero(np.diff(self.curve, prepend=0.0)).tolist()
        steps = [[place, float(f"{self.curve[place]:.6g}")] for place in rises]
        return {
            **{name: getattr(self, name) for name in ("run", "sampler", "stopper")},
            "seed": self.seed,
            "code": self.code,
            "seconds": round(self.seconds, 5),
            "points": len(self.curve),
            "steps": steps,
        }

    @classmethod
    def from_line(cls, line: str) -> Record:
        told = json.loads(line)
        curve = np.zeros(told.pop("points"))
        for place, hypervolume in told.pop("steps"):
            curve[place:] = hypervolume
        return cls(curve=curve, **told)


def read(path: Path) -> list[Record]:
    """Of searches that are there twice, the later one."""
    lines = path.read_text().splitlines() if path.exists() else []
    return list({it.key: it for it in map(Record.from_line, lines)}.values())


def goal_of(records: Sequence[Record]) -> float:
    """What random search without stopping ends with at a cost of 1: the median of its seeds."""
    random = [it for it in records if (it.sampler, it.stopper) == BASELINE]
    return float(np.median([it.curve[-1] for it in random if it.share >= 1]))


def shown(
    records: Sequence[Record], goal: float, at: float, rng: np.random.Generator
) -> pd.DataFrame:
    """The table; hypervolumes are compared at the share ``at`` of the cost."""
    step = round(at * POINTS)
    curves: dict[Pair, dict[int, Array]] = {}
    for record in records:
        if len(record.curve) >= step:
            pair = record.sampler, record.stopper
            curves.setdefault(pair, {})[record.seed] = record.curve
    rows = []
    for pair, found in curves.items():
        times = [r.seconds for r in records if (r.sampler, r.stopper) == pair]
        row = {"sampler": pair[0], "stopper": pair[1], "seeds": len(found)}
        row |= _cost([*found.values()], goal, rng)
        ends = np.array([curve[step - 1] for curve in found.values()]) / goal
        ways = np.array([curve[:step].mean() for curve in found.values()]) / goal
        row |= {"at": ends.mean(), "+-": _half_width(ends), "way": ways.mean()}
        rows.append(
            row | _against(found, curves[BEST], step) | {"ms": 1e3 * np.mean(times)}
        )
    table = pd.DataFrame(rows).assign(rank=_ranks(curves, step))
    for name in ("p", "p_way"):
        tested = table[name].notna()
        table.loc[tested, name] = stats.false_discovery_control(table.loc[tested, name])
    return table.sort_values("rank", ignore_index=True).round(4)


def pooled(
    records: Sequence[Record], goals: Mapping[str, float], at: float
) -> pd.DataFrame:
    """All runs together, seed by seed against ``evolution``: hypervolume on the way, in per cent of the goal.

    Mean difference and half of its 95 % interval, how often it is positive, and Wilcoxon's p, not corrected.
    """
    step = round(at * POINTS)
    ways = {
        it.key: 100 * it.curve[:step].mean() / goals[it.run]
        for it in records
        if len(it.curve) >= step
    }
    rows = []
    for pair in dict.fromkeys((it.sampler, it.stopper) for it in records):
        both = [
            (way, ways[key[0], *BEST, key[3]])
            for key, way in ways.items()
            if key[1:3] == pair and (key[0], *BEST, key[3]) in ways
        ]
        if both and pair != BEST:
            gains = np.subtract(*np.transpose(both))
            row = {"sampler": pair[0], "stopper": pair[1], "pairs": len(gains)}
            row |= {"difference": gains.mean(), "+-": _half_width(gains)}
            rows.append(row | {"better": int((gains > 0).sum()), "p": _p(gains)})
    return pd.DataFrame(rows).round(3)


def _cost(
    curves: Sequence[Array], goal: float, rng: np.random.Generator
) -> dict[str, float]:
    together = np.array([curve[: min(map(len, curves))] for curve in curves])

    def share(some: Array) -> float:
        median = np.median(some, axis=0)
        return (
            ((median >= goal).argmax() + 1) / POINTS if median[-1] >= goal else np.inf
        )

    count = len(together)
    shares = [
        share(together[rng.integers(count, size=count)]) for _ in range(RESAMPLES)
    ]
    # by order statistics: a search that has not got there has no number
    low, high = np.quantile(shares, [0.025, 0.975], method="inverted_cdf")
    return {
        "cost": share(together),
        "low": low,
        "high": high,
        "reached": float((together[:, -1] >= goal).mean()),
    }


def _half_width(values: Array) -> float:
    if len(values) < 2:
        return float("nan")
    return float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))


def _against(
    found: dict[int, Array], best: dict[int, Array], step: int
) -> dict[str, float]:
    both = [
        (found[seed][:step], best[seed][:step]) for seed in found.keys() & best.keys()
    ]
    mine, theirs = np.array(both).swapaxes(0, 1)
    ends, ways = mine[:, -1] - theirs[:, -1], (mine - theirs).mean(axis=1)
    return {
        "better": float((ends > 0).mean()),
        "p": _p(ends),
        "better_way": float((ways > 0).mean()),
        "p_way": _p(ways),
    }


def _p(differences: Array) -> float:
    same = not differences.any()
    return float("nan") if same else float(stats.wilcoxon(differences).pvalue)


def _ranks(curves: dict[Pair, dict[int, Array]], step: int) -> Array:
    common = set.intersection(*(set(found) for found in curves.values()))
    ends = [
        [found[seed][step - 1] for seed in sorted(common)] for found in curves.values()
    ]
    return np.asarray(stats.rankdata(-np.array(ends), axis=0).mean(axis=1))
