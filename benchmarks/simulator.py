"""The simulator: trials per second of CPU, memory, and what stopping is worth on the surrogate's curves.

    python benchmarks/simulator.py speed [--trials N] [--workers 1024] [--stopper none --stopper moasha]
    python benchmarks/simulator.py stopping [--seeds 10] [--trials 1000]

"speed" also prints the peak of the process's memory, so name one stopper to learn its own. "stopping" gives every
stopper the epochs that ``--trials`` trials take to their end, and counts how many of them it needs to reach the
hypervolume (accuracy, FLOPs) where the search without stopping ended.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import Any

import numpy as np
import pandas as pd

from nas.simulation.outcome import Simulation, common_reference, compare_outcomes
from nas.simulation.simulator import simulate
from nas.simulation.synthetic import SyntheticWorkload
from nas.simulation.virtual_cluster import Cluster
from nas.simulation.workload import RandomRows
from nas.stopper.asha import make_stopper
from search_spaces import get_space

OBJECTIVES = {"accuracy": "max", "flops": "min"}
EPOCHS = 27
STOPPERS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("none", {}),
    "asha": ("asha", {}),
    "moasha": ("moasha", {}),
    "moasha promote": ("moasha", {"mode": "promote"}),
    "moasha eta=2": ("moasha", {"eta": 2}),
    "moasha eta=4": ("moasha", {"eta": 4}),
    "moasha min_epochs=3": ("moasha", {"min_epochs": 3}),
}


def run(
    stopper: str, workload: SyntheticWorkload, workers: int, **budget: Any
) -> Simulation:
    name, options = STOPPERS[stopper]
    made = make_stopper(name, OBJECTIVES, workload.epochs, options)
    return simulate(RandomRows(), made, workload, Cluster(workers=workers), **budget)


def speed(stoppers: list[str], trials: int, workers: int) -> None:
    for stopper in stoppers:
        workload = SyntheticWorkload(get_space("regnety"), epochs=9)
        start = time.process_time()
        done = run(stopper, workload, workers, trials=trials)
        seconds = time.process_time() - start
        gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        rate = f"{trials / seconds:,.0f} trials per CPU second ({seconds:.1f} s)"
        print(
            f"{stopper}: {rate}, {done.segments['epochs'].sum():,} epochs, peak {gigabytes:.2f} GB",
            flush=True,
        )


def stopping(seeds: int, trials: int, workers: int) -> None:
    tables = []
    for seed in range(seeds):
        done = {}
        for stopper in STOPPERS:
            workload = SyntheticWorkload(get_space("regnety"), EPOCHS, seed=seed)
            done[stopper] = run(stopper, workload, workers, epochs=EPOCHS * trials)
        table = compare_outcomes(done, OBJECTIVES, common_reference(done, OBJECTIVES))
        for column in ("epochs", "hours"):
            table[column] = table[f"{column}_to_first"] / table[column]["none"]
        table["hypervolume"] /= table["hypervolume"]["none"]
        tables.append(table)
    every = pd.concat(tables).groupby("stopper", sort=False)
    print(
        f"{seeds} seeds, {trials * EPOCHS:,} epochs each, {workers} workers; shares of what no stopping took"
    )
    for stopper, table in every:
        epochs = table["epochs"].fillna(np.inf)
        hours = table["hours"].fillna(np.inf)
        print(
            f"{stopper:20} to its hypervolume: epochs {epochs.median():.2f} (worst {epochs.max():.2f}), hours "
            f"{hours.median():.2f}; hypervolume at the end {table['hypervolume'].mean():.4f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["speed", "stopping"])
    parser.add_argument("--trials", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--stopper", action="append", choices=STOPPERS, dest="stoppers")
    asked = parser.parse_args()
    if asked.what == "speed":
        speed(
            asked.stoppers or ["none", "asha", "moasha"],
            asked.trials or 20_000,
            asked.workers or 1024,
        )
    else:
        stopping(asked.seeds, asked.trials or 1000, asked.workers or 16)


if __name__ == "__main__":
    main()
