"""Which sampler, and does stopping early pay? Searches in the world of a recorded run, by hypervolume.

    python benchmarks/searchers.py benchmarks/splatbench [--samplers random evolution nsga2,population_size=20]
        [--stoppers none moasha,eta=2,min_epochs=3] [--peers] [--seeds 20] [--trainings 200]
        [--table FILE] [--figure FILE.html] [--cache FOLDER]

The run folder holds networks trained to the end: an emulator learns from it (``nas.emulator``), and proposer and
stopper search there under the virtual clock, four trials at once. Cost is the time of training; all may spend
what ``--trainings`` of the run's networks cost on average. The goal is what random search without stopping ends
with, the median of its seeds. ``--peers`` adds what others would use instead (``peers.py``).

Prints, per sampler and stopper: at which share of the cost the median search has reached the goal, and in how
many seeds that happened at all; the hypervolume at a fifth, half and all of the cost (mean, half of its 95 %
interval); the mean rank among all searches of one seed; and p-values of Wilcoxon's signed-rank test against
random without stopping (``p``), against the best (``p_best``) and against the same sampler without stopping
(``p_alone``), each corrected after Benjamini and Hochberg. All of it holds for this one world.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Memory
from peers import OTHERS, PEERS
from scipy import stats
from searchers_figure import figure
from threadpoolctl import threadpool_limits

import nas
from nas.config.loading import load_config
from nas.config.schema import SearchConfig
from nas.simulation.emulator import Emulator
from nas.simulation.simulator import simulate
from nas.simulation.virtual_cluster import Cluster
from nas.simulation.what_if import parse_stopper, searching
from results import load_run, pareto_front, write_table
from search_spaces.sampling.limits import LIMITED

SAMPLERS = [
    "random",
    "nsga2",
    "nsga2,population_size=20",
    "tpe",
    "evolution,first=500",
    "evolution",
]
"""With ``first=500`` all networks are of the first design of ``evolution``: spread evenly, learning nothing."""
BASELINE = ("random", "none")
POINTS = 200
SHARES = (0.2, 0.5, 1.0)
WORKERS = 4


class Search(NamedTuple):
    sampler: str
    stopper: str
    seed: int


class Found(NamedTuple):
    """``curve``: hypervolume at ``POINTS`` equal steps of the cost. ``front``: the networks on it at the end."""

    curve: np.ndarray[Any, Any]
    front: pd.DataFrame


@cache
def world(run: Path) -> tuple[Emulator, SearchConfig]:
    """Once per process: the forest is the same for all searches."""
    config = load_config(str(run / "config.yaml"))
    measured = [
        name for name in config.objectives if name not in ("accuracy", *LIMITED)
    ]
    return Emulator.of_folder(run, measured), config


def made(run: Path, search: Search) -> tuple[Any, Any, Any]:
    """Proposer, stopper and workload of a search."""
    emulator, config = world(run)
    ours = searching(
        emulator,
        config,
        "random" if search.sampler in OTHERS else search.sampler,
        search.seed,
    )
    proposer, workload = ours.make()
    if other := OTHERS.get(search.sampler):
        proposer = other(config, emulator, search.seed)
    name, *options = search.stopper.split(",")
    if other := OTHERS.get(name):
        values = {
            key: int(value) for key, value in (option.split("=") for option in options)
        }
        return proposer, other(config, search.seed, **values), workload
    return proposer, parse_stopper(search.stopper, ours), workload


def run_search(run: Path, hours: float, search: Search) -> Found:
    config = world(run)[1]
    assert config.reference_point is not None
    proposer, stopper, workload = made(run, search)
    found = simulate(
        proposer, stopper, workload, Cluster(WORKERS), seed=search.seed, hours=hours
    )
    timeline = found.timeline(config.objectives, config.reference_point, POINTS)
    front = pareto_front(found.complete, config.objectives)
    return Found(
        timeline["hypervolume"].to_numpy(),
        front[list(config.objectives)].assign(**search._asdict()),
    )


def hours_of(run: Path, trainings: int) -> float:
    """What so many of the run's networks took, on average, to be trained to the end."""
    found = load_run(run)
    seconds = found.epochs.groupby("trial")["seconds"].sum()
    return float(
        seconds[seconds.index.isin(found.complete["trial"])].mean()
        * trainings
        / WORKERS
        / 3600
    )


def summary(curves: dict[tuple[str, str], np.ndarray[Any, Any]]) -> pd.DataFrame:
    """``curves``: (seeds, points) by sampler and stopper."""
    ends = np.array([found[:, -1] for found in curves.values()])
    ranks = stats.rankdata(-ends, axis=0).mean(1)
    base, best = curves[BASELINE][:, -1], ends[ranks.argmin()]
    goal = np.median(base)
    rows = []
    for (sampler, stopper), rank, found in zip(
        curves, ranks, curves.values(), strict=True
    ):
        median = np.median(found, axis=0)
        there = (median >= goal).argmax() + 1 if median[-1] >= goal else np.nan
        row = {"sampler": sampler, "stopper": stopper, "cost_to_goal": there / POINTS}
        row["reached"] = (found[:, -1] >= goal).mean()
        for share in SHARES:
            values = found[:, int(share * POINTS) - 1]
            row |= {
                f"at_{share:g}": values.mean(),
                f"+-_{share:g}": _half_width(values),
            }
        alone = (
            curves[sampler, "none"][:, -1]
            if (sampler, "none") in curves
            else found[:, -1]
        )
        tests = {
            f"p{name}": _p(found[:, -1], others)
            for name, others in (("", base), ("_best", best), ("_alone", alone))
        }
        rows.append(row | {"rank": rank} | tests)
    table = pd.DataFrame(rows)
    for column in ("p", "p_best", "p_alone"):
        tested = table[column].notna()
        table.loc[tested, column] = stats.false_discovery_control(
            table.loc[tested, column]
        )
    return table.sort_values("rank", ignore_index=True)


def _half_width(values: np.ndarray[Any, Any]) -> float:
    return float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))


def _p(values: np.ndarray[Any, Any], others: np.ndarray[Any, Any]) -> float:
    return (
        float("nan")
        if (values == others).all()
        else float(stats.wilcoxon(values, others).pvalue)
    )


def asked_for() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--samplers", nargs="+", default=SAMPLERS)
    parser.add_argument(
        "--stoppers", nargs="+", default=["none", "moasha,eta=2,min_epochs=3"]
    )
    parser.add_argument("--peers", action="store_true", help="also what peers.py has")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trainings", type=int, default=200)
    parser.add_argument(
        "--table", type=Path, help="keep all curves, one row per search and step"
    )
    parser.add_argument(
        "--figure", type=Path, help="hypervolume against cost, and attainment, as HTML"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        help="keep searches here, so that an interrupted call goes on",
    )
    asked = parser.parse_args()
    try:
        if world(asked.run)[1].reference_point is None:
            parser.error(
                f"{asked.run}/config.yaml: needs a reference_point, which bounds the hypervolume"
            )
        for sampler, stopper in product(asked.samplers, asked.stoppers):
            made(asked.run, Search(sampler, stopper, 0))
    except ValueError as error:
        parser.error(str(error))
    return asked


def state_of(run: Path) -> str:
    """Names the run's tables and the code: a kept search is worth nothing where either has changed."""
    files = [
        *run.glob("*.parquet"),
        run / "config.yaml",
        *Path(nas.__file__).parent.rglob("*.py"),
    ]
    return sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()[
        :12
    ]


def main() -> None:
    asked = asked_for()
    agreement = world(asked.run)[0].rank_agreement
    print(
        f"the emulator ranks the run's networks, left out, at tau {agreement:.2f}",
        flush=True,
    )
    pairs = [
        BASELINE,
        *product(asked.samplers, asked.stoppers),
        *(PEERS if asked.peers else []),
    ]
    searches = [
        Search(*pair, seed)
        for pair in dict.fromkeys(pairs)
        for seed in range(asked.seeds)
    ]
    kept = Memory(asked.cache and asked.cache / state_of(asked.run), verbose=0).cache(
        run_search
    )
    measure = partial(kept, asked.run, hours_of(asked.run, asked.trainings))
    found: dict[Search, Found] = {}
    with ProcessPoolExecutor(
        os.cpu_count(), initializer=threadpool_limits, initargs=(1,)
    ) as pool:
        for search, result in zip(searches, pool.map(measure, searches), strict=True):
            found[search] = result
            if search.seed == asked.seeds - 1:
                ends = [
                    found[search._replace(seed=seed)].curve[-1]
                    for seed in range(asked.seeds)
                ]
                print(
                    f"{search.sampler}, {search.stopper}: {np.mean(ends):.4g}",
                    flush=True,
                )
    curves = pd.concat(
        pd.DataFrame(
            {
                **search._asdict(),
                "cost": (np.arange(POINTS) + 1) / POINTS,
                "hypervolume": result.curve,
            }
        )
        for search, result in found.items()
    )
    groups = curves.groupby(["sampler", "stopper"], sort=False)["hypervolume"]
    table = summary(
        {pair: group.to_numpy().reshape(-1, POINTS) for pair, group in groups}
    )
    print(table.to_string(index=False, float_format="{:.4g}".format))
    if asked.table:
        write_table(curves, asked.table)
    if asked.figure:
        fronts = pd.concat(result.front for result in found.values())
        asked.figure.write_text(
            figure(curves, fronts, table, world(asked.run)[1].objectives)
        )


if __name__ == "__main__":
    main()
