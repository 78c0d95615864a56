"""Which sampler, and does stopping early pay? Searches in the world of a recorded run, by hypervolume.

    python benchmarks/searchers.py RUN [--samplers random,nsga2,evolution] [--stoppers none moasha,eta=2]
        [--seeds 20] [--trainings 200] [--table FILE]

RUN is a run folder with random networks trained to the end (``results/fronts/…`` or your own): an emulator learns
from it (``nas.emulator``), and proposer and stopper search there under the virtual clock, four trials at once.
Cost is the time of training; all may spend what ``--trainings`` networks of the run cost on average. The goal
is what random search without stopping ends with, the median of its seeds.

Prints, per sampler and stopper: at which share of the cost the median search has reached the goal, the hypervolume
at a quarter, half and all of the cost (mean, 95 % interval), the mean rank among all searches of one seed, and
the p-value of Wilcoxon's signed-rank test against random without stopping, corrected after Benjamini and Hochberg.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from nas.config import SearchConfig
from nas.emulator import Emulator
from nas.loading import load_config
from nas.simulate import simulate
from nas.virtual_cluster import Cluster
from nas.what_if import parse_stopper, searching
from results import load_run, write_table
from search_spaces.limits import LIMITED

SAMPLERS = "random,nsga2,tpe,evolution"
BASELINE = ("random", "none")
POINTS = 200
WORKERS = 4


@cache
def world(run: Path) -> tuple[Emulator, SearchConfig]:
    """Once per process: the forest is the same for all searches."""
    config = load_config(str(run / "config.yaml"))
    measured = [name for name in config.objectives if name not in ("accuracy", *LIMITED)]
    return Emulator.of_folder(run, measured), config


def hypervolumes(run: Path, hours: float, search: tuple[str, str, int]) -> np.ndarray[Any, Any]:
    """At ``POINTS`` equal steps of the cost, in hours of the virtual cluster."""
    sampler, stopper, seed = search
    source = searching(*world(run), sampler, seed)
    proposer, workload = source.make()
    found = simulate(
        proposer, parse_stopper(stopper, source), workload, Cluster(workers=WORKERS), seed=seed, hours=hours
    )
    assert source.reference is not None
    return found.timeline(source.objectives, source.reference, POINTS)["hypervolume"].to_numpy()


def hours_of(run: Path, trainings: int) -> float:
    """What so many of the run's networks took, on average, to be trained to the end."""
    found = load_run(run)
    seconds = found.epochs.groupby("trial")["seconds"].sum()
    return float(seconds[seconds.index.isin(found.complete["trial"])].mean() * trainings / WORKERS / 3600)


def summary(curves: dict[tuple[str, str], np.ndarray[Any, Any]]) -> pd.DataFrame:
    """``curves``: (seeds, points) by sampler and stopper."""
    goal = np.median(curves[BASELINE][:, -1])
    ends = np.array([found[:, -1] for found in curves.values()])
    ranks = stats.rankdata(-ends, axis=0).mean(1)
    rows = []
    for (search, found), rank in zip(curves.items(), ranks, strict=True):
        median = np.median(found, axis=0)
        there = (median >= goal).argmax() + 1 if median[-1] >= goal else np.nan
        row: dict[str, Any] = {"sampler": search[0], "stopper": search[1], "cost_to_goal": there / POINTS}
        for share in (0.25, 0.5, 1.0):
            values = found[:, int(share * POINTS) - 1]
            row |= {f"hypervolume_{share:g}": values.mean(), f"interval_{share:g}": _half_width(values)}
        base = curves[BASELINE][:, -1]
        p = np.nan if search == BASELINE else stats.wilcoxon(found[:, -1], base).pvalue
        rows.append(row | {"rank": rank, "p": p})
    table = pd.DataFrame(rows)
    tested = table["p"].notna()
    table.loc[tested, "p"] = stats.false_discovery_control(table.loc[tested, "p"])
    return table.sort_values("rank", ignore_index=True)


def _half_width(values: np.ndarray[Any, Any]) -> float:
    return float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--samplers", default=SAMPLERS)
    parser.add_argument("--stoppers", nargs="+", default=["none", "moasha,eta=2"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trainings", type=int, default=200)
    parser.add_argument("--table", type=Path, help="keep all curves, one row per search and step")
    asked = parser.parse_args()
    emulator, config = world(asked.run)
    if config.reference_point is None:
        parser.error(f"{asked.run}/config.yaml: needs a reference_point, which bounds the hypervolume")
    print(f"the emulator ranks the run's networks, left out, at tau {emulator.rank_agreement:.2f}")
    pairs = [BASELINE, *product(asked.samplers.split(","), asked.stoppers)]
    pairs = list(dict.fromkeys(pairs))
    searches = [(*pair, seed) for pair in pairs for seed in range(asked.seeds)]
    measure = partial(hypervolumes, asked.run, hours_of(asked.run, asked.trainings))
    curves: dict[tuple[str, str], list[np.ndarray[Any, Any]]] = {pair: [] for pair in pairs}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for (sampler, stopper, seed), curve in zip(searches, pool.map(measure, searches), strict=True):
            curves[sampler, stopper].append(curve)
            if seed == asked.seeds - 1:
                reached = np.mean([found[-1] for found in curves[sampler, stopper]])
                print(f"{sampler}, {stopper}: {reached:.4g}", flush=True)
    arrays = {pair: np.array(found) for pair, found in curves.items()}
    print(summary(arrays).to_string(index=False, float_format="{:.4g}".format))
    if asked.table:
        rows = [
            {
                "sampler": sampler,
                "stopper": stopper,
                "seed": seed,
                "cost": (step + 1) / POINTS,
                "hypervolume": value,
            }
            for (sampler, stopper), found in arrays.items()
            for seed, curve in enumerate(found)
            for step, value in enumerate(curve)
        ]
        write_table(pd.DataFrame(rows), asked.table)


if __name__ == "__main__":
    main()
